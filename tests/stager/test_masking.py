"""No secret is ever printed, logged, or written where others can read it."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stager.credentials import Credentials
from stager.errors import StoreError
from stager.masking import MaskingFilter, hide, masked
from tests.conftest import free_port
from tests.stager.access import READER, Site
from tests.stager.issuer import SECRET
from tests.stager.staging import FAST, Folder
from tests.stager.test_failures import answering, s3_error

LOUD = """
import json, logging, os
from stager import masking
from stager.main import main
masking.log_to_stderr(logging.DEBUG)  # all that botocore and urllib3 can say
try:
    main()
finally:
    json.dump(list(masking._hidden), open(os.environ["HIDDEN"], "w"))
"""


@given(st.text("abcdefghijklmnop/+=&% \"\\'é", min_size=6, max_size=40))
def test_a_secret_is_found_in_any_spelling(secret: str) -> None:
    from urllib.parse import quote, quote_plus, urlencode

    hide(f"@{secret}@")
    for text in (
        f"key @{secret}@",
        json.dumps({"key": f"@{secret}@"}),
        urlencode({"key": f"@{secret}@"}),
        quote(f"@{secret}@", safe=""),
        quote_plus(f"@{secret}@"),
    ):
        assert secret not in masked(text) or secret in "key ..."
        assert "..." in masked(text)


def test_errors_and_logs_are_masked(caplog: pytest.LogCaptureFixture) -> None:
    Credentials("AKIAEXAMPLEEXAMPLE", "very-secret-indeed", "the test")
    error = StoreError("the server said: very-secret-indeed of AKIAEXAMPLEEXAMPLE")
    assert str(error) == "the server said: ... of AKIA..."
    assert "very-secret" not in repr(error)
    try:
        raise ValueError("very-secret-indeed")
    except ValueError:
        logging.getLogger("anybody").exception("with %s", "very-secret-indeed")
    (record,) = caplog.records
    MaskingFilter().filter(record)
    text = logging.Formatter("%(message)s").format(record)
    assert "ValueError: ..." in text and "very-secret" not in text


def run_loudly(place: Folder, environment: dict[str, str]) -> tuple[int, bytes, list[str]]:
    """Stage with all logging on; return exit code, all that was printed and stored, secrets."""
    hidden = place.path / "hidden.json"
    done = subprocess.run(
        [sys.executable, "-c", LOUD, "once", "--json", "--experiment", str(place.path)],
        env={**os.environ, **FAST, "HIDDEN": str(hidden), **environment},
        capture_output=True,
        check=False,
        timeout=60,
    )
    printed = done.stdout + done.stderr
    for path in place.path.glob("catalog.sqlite*"):
        printed += path.read_bytes()
    return done.returncode, printed, json.loads(hidden.read_text())


def test_failing_runs_print_no_secrets(site: Site, place: Folder, data: Path) -> None:
    """In each: the exit code is 1, botocore logged its requests, and nothing of use is seen."""
    place.add(data / "run01104.mid")
    static = {
        "AWS_ACCESS_KEY_ID": place.access["access_key"],
        "AWS_SECRET_ACCESS_KEY": "not-" + place.access["secret_key"],
        "CYGNO_S3_ENDPOINT": site.server.endpoint,
    }
    expired = site.token_file(place, site.issuer.token(aud="others"))
    refresh = place.path / "refresh.json"
    refresh.touch(0o600)
    refresh.write_text(site.issuer.refresh_token())
    kept = {"CYGNO_OIDC_REFRESH_TOKEN_FILE": str(refresh)}
    with answering(400, s3_error("SomethingElse")) as strange:
        runs = {
            "wrong secret": static,
            "wrong audience": site.environment("token-file", CYGNO_OIDC_TOKEN_FILE=str(expired)),
            "no right": site.environment("client-credentials", CYGNO_S3_ROLE_ARN=READER),
            "wrong client": site.environment(
                "client-credentials", CYGNO_OIDC_CLIENT_SECRET=SECRET[::-1]
            ),
            "no server": site.environment(
                "refresh-token",
                **kept,
                CYGNO_S3_STS_ENDPOINT=site.server.endpoint,
                CYGNO_S3_ENDPOINT=f"http://127.0.0.1:{free_port()}",
            ),
            "strange server": site.environment(
                "refresh-token",
                **kept,
                CYGNO_S3_STS_ENDPOINT=site.server.endpoint,
                CYGNO_S3_ENDPOINT=strange,
            ),
        }
        for name, environment in runs.items():
            code, printed, hidden = run_loudly(place, environment)
            assert code == 1, name
            assert b"DEBUG" in printed and len(printed) > 10_000, name
            secrets = {SECRET, SECRET[::-1], *static.values(), *site.issuer.given, *hidden}
            secrets.discard(site.server.endpoint)
            for secret in secrets:
                assert secret.encode() not in printed, f"{name}: a secret was printed"


def test_a_crash_that_nobody_foresaw_shows_none(tmp_path: Path) -> None:
    program = (
        "from stager.masking import hide, mask_tracebacks\n"
        "mask_tracebacks()\n"
        "raise ValueError('it was ' + hide('s3cret' + 's3cret'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ValueError: it was ..." in done.stderr and "s3crets3cret" not in done.stderr
