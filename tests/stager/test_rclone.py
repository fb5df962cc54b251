"""A client that owes us nothing reads what we wrote, with static keys and with a token."""

import os
import subprocess
from pathlib import Path

from stager.once import complaints
from tests.conftest import require_program
from tests.stager.access import READER, Site
from tests.stager.runs import write_run
from tests.stager.staging import Folder


def rclone(folder: Folder, *arguments: str, **environment: str) -> str:
    """Run rclone with the bucket as ``s3:``; return what it said."""
    remote = {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_S3_TYPE": "s3",
        "RCLONE_CONFIG_S3_PROVIDER": "SeaweedFS",
        "RCLONE_CONFIG_S3_ENDPOINT": folder.access["endpoint"],
        "RCLONE_CONFIG_S3_REGION": folder.access["region"],
        "RCLONE_CONFIG_S3_FORCE_PATH_STYLE": "true",
        "RCLONE_CONFIG_S3_NO_CHECK_BUCKET": "true",
    }
    done = subprocess.run(
        [require_program("rclone"), *arguments],
        env={**os.environ, **remote, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_rclone_reads_what_we_wrote(folder: Folder, data: Path) -> None:
    folder.add(data / "run01104.mid")
    write_run(folder.data, 1, events=12)
    assert complaints(folder.stage(CYGNO_S3_PART_SIZE_MIB="5")) == []
    keys = {
        "RCLONE_CONFIG_S3_ACCESS_KEY_ID": folder.access["access_key"],
        "RCLONE_CONFIG_S3_SECRET_ACCESS_KEY": folder.access["secret_key"],
    }
    there = f"s3:{folder.bucket}/{folder.tag}"
    said = rclone(folder, "check", "--download", str(folder.data), there, **keys)
    assert "0 differences found" in said
    assert f"{len(list(folder.data.iterdir()))} matching files" in said


def test_a_reader_with_a_token_reads_it(site: Site, place: Folder, data: Path) -> None:
    path = place.add(data / "run01104.mid")
    assert complaints(place.stage(**site.environment("client-credentials"))) == []
    token = {
        "RCLONE_CONFIG_S3_ENV_AUTH": "true",
        "AWS_ROLE_ARN": READER,
        "AWS_ROLE_SESSION_NAME": "analyst",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(site.token_file(place)),
        "AWS_ENDPOINT_URL_STS": site.server.endpoint,
        "AWS_REGION": "us-east-1",
    }
    copy = place.path / "copy"
    rclone(place, "copyto", f"s3:{place.bucket}/{place.key(path.name)}", str(copy), **token)
    assert copy.read_bytes() == path.read_bytes()
