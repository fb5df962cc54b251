"""The stager's settings, and the environment variables that name them.

Secrets are no settings: see `stager.credentials`.
"""

from typing import Final

from experiment.settings import Settings, setting

ODB_PATH: Final = "/Equipment/Stager/Settings"
KINDS: Final = ("raw", "reco", "sidecar", "odb", "truth")

_S3_FIELDS: Final = (
    "endpoint",
    "region",
    "bucket",
    "tag",
    "part_size_mib",
    "parallel_parts",
    "connect_timeout_s",
    "read_timeout_s",
    "attempts",
    "ca_file",
    "credentials_file",
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
        KINDS, "Kinds", "Which files of a run go to S3: raw reco sidecar odb truth.", effect="live"
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
    parallel_parts: int = setting(
        4, "Parallel parts", "Parts of one file that are sent at once.", effect="live", ge=1, le=32
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
    credentials_file: str = setting(
        "", "Credentials file", "File with the keys (mode 0600), where they are not in AWS_*."
    )
    catalog: str = setting(
        "", "Catalog", "SQLAlchemy URL of the run catalog; empty: SQLite beside the data."
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


def environment_name(field: str) -> str:
    """Return the environment variable of a field.

    >>> environment_name("bucket"), environment_name("settle_s")
    ('CYGNO_S3_BUCKET', 'CYGNO_STAGER_SETTLE_S')
    """
    prefix = "CYGNO_S3_" if field in _S3_FIELDS else "CYGNO_STAGER_"
    return prefix + field.upper()
