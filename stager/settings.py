"""The stager's settings, and the environment variables that name them.

Secrets are no settings: see `stager.credentials`.
"""

from pathlib import Path
from typing import ClassVar, Final, Literal

from experiment.settings import Settings, setting

ODB_PATH: Final = "/Equipment/Stager/Settings"
KINDS: Final = ("raw", "reco", "sidecar", "odb", "summary", "report", "truth")
CLOUD: Final = "cloud"
"""Name of the place that the stager's own S3 settings describe."""

EMBEDDED: Final = Path("s3/credentials.json")
"""Where a standalone experiment's folder has the keys of its embedded S3 server."""

S3_FIELDS: Final = (
    "endpoint",
    "region",
    "bucket",
    "tag",
    "part_size_mib",
    "parallel_files",
    "parallel_parts",
    "bandwidth",
    "connect_timeout_s",
    "read_timeout_s",
    "attempts",
    "ca_file",
    "credentials",
    "credentials_file",
    "role_arn",
    "sts_endpoint",
    "session_duration_s",
)
OIDC_FIELDS: Final = (
    "issuer",
    "client_id",
    "audience",
    "scopes",
    "agent_account",
    "token_file",
    "client_secret_file",
    "refresh_token_file",
)


class StagerSettings(Settings):
    """What the stager needs to know."""

    endpoint: str = setting(
        "", "Endpoint", "URL of the S3 server, such as https://s3.example.org:7480.", effect="live"
    )
    region: str = setting("us-east-1", "Region", "Region that signatures name.", effect="live")
    bucket: str = setting(
        "cygno-data", "Bucket", "Bucket that receives the files.", effect="live", min_length=1
    )
    tag: str = setting(
        "LNGS",
        "Tag",
        "Site; objects are named <Tag>/<file name>, as CYGNO's.",
        effect="live",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
    )
    kinds: tuple[str, ...] = setting(
        KINDS,
        "Kinds",
        "Which files of a run are staged: raw reco sidecar odb summary report truth.",
        effect="live",
    )
    part_size_mib: int = setting(
        16,
        "Part size MiB",
        "Size of the parts of larger files; smaller files are sent whole.",
        unit="MiB",
        effect="live",
        ge=5,
        le=5120,
    )
    parallel_files: int = setting(
        2, "Parallel files", "Files that are sent at once.", effect="live", ge=1, le=16
    )
    parallel_parts: int = setting(
        4, "Parallel parts", "Parts of one file that are sent at once.", effect="live", ge=1, le=32
    )
    bandwidth: str = setting(
        "",
        "Bandwidth",
        "Limit of all sending together, such as 50 MB/s or 08:00-20:00 50 MB/s; else unlimited; "
        "empty: none.",
        effect="live",
    )
    connect_timeout_s: float = setting(
        5.0, "Connect timeout s", "How long to wait for a connection.", unit="s", gt=0, le=600
    )
    read_timeout_s: float = setting(
        60.0, "Read timeout s", "How long to wait for an answer.", unit="s", gt=0, le=3600
    )
    attempts: int = setting(
        3, "Attempts", "Tries of one request before the file waits for its next turn.", ge=1, le=20
    )
    ca_file: str = setting("", "CA file", "Certificates to trust instead of the system's.")
    credentials: Literal[
        "static", "token-file", "oidc-agent", "client-credentials", "refresh-token"
    ] = setting(
        "static",
        "Credentials",
        "static: keys; else where the token comes from that STS turns into temporary keys: "
        "token-file, oidc-agent, client-credentials or refresh-token.",
        effect="live",
    )
    credentials_file: str = setting(
        "", "Credentials file", "File with the keys (mode 0600), where they are not in AWS_*."
    )
    role_arn: str = setting(
        "", "Role ARN", "Role that STS is asked for, such as arn:aws:iam::role/DaqWriter."
    )
    sts_endpoint: str = setting("", "STS endpoint", "URL of STS; empty: that of S3.")
    session_duration_s: int = setting(
        3600,
        "Session duration s",
        "Life of temporary keys, which are renewed before they end; 0: as STS wants it.",
        unit="s",
        ge=0,
        le=43200,
    )
    issuer: str = setting("", "Issuer", "URL of the OIDC issuer of the tokens.")
    client_id: str = setting("", "Client id", "Who we are to the issuer.")
    audience: str = setting("", "Audience", "For whom tokens are asked: what STS expects.")
    scopes: tuple[str, ...] = setting(
        ("openid",), "Scopes", "Scopes that tokens are asked for; login adds offline_access."
    )
    agent_account: str = setting(
        "", "Agent account", "Account of oidc-agent; empty: the one it has for the issuer."
    )
    token_file: str = setting(
        "", "Token file", "File with a token (mode 0600) that somebody else keeps fresh."
    )
    client_secret_file: str = setting(
        "", "Client secret file", "File (mode 0600), where it is not in CYGNO_OIDC_CLIENT_SECRET."
    )
    refresh_token_file: str = setting(
        "",
        "Refresh token file",
        "File (mode 0600) that cygno-stager login writes; empty: "
        "~/.config/cygno-daq/refresh-token.json.",
    )
    catalog: str = setting(
        "", "Catalog", "SQLAlchemy URL of the run catalog; empty: SQLite beside the data."
    )
    catalog_wait_s: float = setting(
        3600.0,
        "Catalog wait s",
        "How long `once` waits for a database that is lost in its work; the daemon waits for ever.",
        unit="s",
        ge=0,
    )
    data_dir: str = setting("", "Data dir", "Folder of the run files; empty: the logger's.")
    settle_s: float = setting(
        3.0,
        "Settle s",
        "How long a file without end-of-run event must be unchanged to count as truncated.",
        unit="s",
        effect="live",
        ge=0,
        le=3600,
    )
    scan_period_s: float = setting(
        10.0,
        "Scan period s",
        "How often the data folder is looked through.",
        unit="s",
        effect="live",
        ge=0.1,
        le=3600,
    )
    retry_first_s: float = setting(
        30.0,
        "Retry first s",
        "Wait after the first failure; it doubles with each further one.",
        unit="s",
        effect="live",
        gt=0,
    )
    retry_longest_s: float = setting(
        3600.0, "Retry longest s", "Longest wait between two tries.", unit="s", effect="live", gt=0
    )
    scratch_dir: str = setting(
        "",
        "Scratch dir",
        "Folder for transcoded files on their way; empty: .cygno-stager in the data folder.",
        effect="live",
    )
    delete_local_files: bool = setting(
        False,
        "Delete local files",
        "The daemon deletes local files that the rules below allow; else only prune --apply does.",
        effect="live",
    )
    keep_days: float = setting(
        30.0,
        "Keep days",
        "A run may be deleted once it is older than this.",
        unit="d",
        effect="live",
        ge=0,
    )
    fuller_than_percent: float = setting(
        90.0,
        "Fuller than percent",
        "While the data disk is fuller than this, younger runs may be deleted, too, oldest first.",
        unit="%",
        effect="live",
        gt=0,
        le=100,
    )
    keep_newest_runs: int = setting(
        10, "Keep newest runs", "So many of the newest runs are never deleted.", effect="live", ge=1
    )
    delete_without_reco: bool = setting(
        False,
        "Delete without reco",
        "Delete runs that have no reco file, too.",
        effect="live",
    )
    delete_with_failed: bool = setting(
        False,
        "Delete with failed files",
        "Delete the safe files of runs of which others have failed, too.",
        effect="live",
    )
    low_disk_percent: float = setting(
        5.0,
        "Low disk percent",
        "Alarm when less than this of the data disk is free.",
        unit="%",
        effect="live",
        ge=0,
        le=100,
    )
    low_disk_hours: float = setting(
        12.0,
        "Low disk hours",
        "Alarm when the data disk will be full in less than this at the present rate.",
        unit="h",
        effect="live",
        ge=0,
    )


class PlaceSettings(Settings):
    """One place for copies, besides the cloud or (named cloud) the cloud itself.

    A place of kind s3 may have any of the stager's own settings that concern S3, such as Endpoint.
    """

    odb_path: ClassVar[str] = f"{ODB_PATH}/Places/<name>"

    kind: Literal["s3", "folder", "command"] = setting(
        "s3", "Kind", "How copies get there.", effect="live"
    )
    enabled: bool = setting(True, "Enabled", "Bring files there.", effect="live")
    required: bool = setting(
        True, "Required", "Local files are kept until this place has them.", effect="live"
    )
    role: Literal["cloud", "tape", "copy"] = setting(
        "copy",
        "Role",
        "Which column of Runlog follows it: storage_cloud_status, storage_tape_status or none.",
        effect="live",
    )
    kinds: tuple[str, ...] = setting(
        (), "Kinds", "Which files of a run go there; empty: as the stager's Kinds.", effect="live"
    )
    tag: str = setting("", "Tag", "Site in its keys; empty: the stager's Tag.", effect="live")
    parallel_files: int = setting(
        2, "Parallel files", "Files that are brought there at once.", effect="live", ge=1, le=16
    )
    compression: Literal["", "none", "gzip", "lz4", "bzip2", "zstd"] = setting(
        "",
        "Compression",
        "Run files are transcoded to it on their way; empty: they go as they are.",
        effect="live",
    )
    expand: bool = setting(
        False, "Expand frames", "Frames in banks CZ go as CAM, bit for bit.", effect="live"
    )
    folder: str = setting("", "Folder", "Kind folder: where copies go; must exist.", effect="live")
    mounted: bool = setting(
        False,
        "Must be mounted",
        "Kind folder: refuse it while no file system is mounted there.",
        effect="live",
    )
    put: str = setting(
        "",
        "Put",
        "Kind command: program that brings {file} to {key}; exit code 0 is success.",
        effect="live",
    )
    check: str = setting(
        "",
        "Check",
        "Kind command: program that prints what is at {key}; exit code 0 is there.",
        effect="live",
    )
    get: str = setting(
        "", "Get", "Kind command: program that brings {key} to {file}, to read back.", effect="live"
    )
    delete: str = setting(
        "",
        "Delete",
        "Kind command: program that removes what a failed Put of ours left at {key}.",
        effect="live",
    )
    pattern: str = setting(
        r"adler32[:=\s]+(?P<adler32>[0-9a-fA-F]{8})",
        "Check pattern",
        "Regular expression for what Check prints; groups size, adler32, crc32c, md5, sha256.",
        effect="live",
    )
    missing_codes: tuple[int, ...] = setting(
        (2,), "Missing exit codes", "Exit codes by which Check says that nothing is there."
    )
    missing_text: str = setting(
        "No such file", "Missing text", "Text by which Check says so with another exit code."
    )
    timeout_s: float = setting(
        3600.0, "Timeout s", "After so long a program is killed.", unit="s", effect="live", gt=0
    )


def environment_name(field: str) -> str:
    """Return the environment variable of a field.

    >>> environment_name("bucket"), environment_name("issuer"), environment_name("settle_s")
    ('CYGNO_S3_BUCKET', 'CYGNO_OIDC_ISSUER', 'CYGNO_STAGER_SETTLE_S')
    """
    if field in OIDC_FIELDS:
        return f"CYGNO_OIDC_{field.upper()}"
    prefix = "CYGNO_S3_" if field in S3_FIELDS else "CYGNO_STAGER_"
    return prefix + field.upper()
