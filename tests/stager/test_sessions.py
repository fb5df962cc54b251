"""Tokens become temporary keys at a real STS; they are renewed in time, also in mid-upload."""

import errno
import json
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stager.credentials import private
from stager.credentials import session as sessions
from stager.credentials.choose import credentials_for, token_source
from stager.credentials.session import SessionCredentials, StsPlace
from stager.credentials.tokens import Token
from stager.errors import CredentialsError, IssuerError
from stager.models import State
from stager.once import complaints
from stager.outcome import Pass
from tests.stager.access import READER, SESSION_S, WRITER, Site
from tests.stager.issuer import CLIENT
from tests.stager.runs import write_run
from tests.stager.staging import Folder

KINDS = ("token-file", "client-credentials", "refresh-token")
SLOW = {"CYGNO_S3_PART_SIZE_MIB": "5", "CYGNO_S3_PARALLEL_PARTS": "1", "CYGNO_S3_ATTEMPTS": "1"}


def the_one_complaint(result: Pass) -> str:
    """Return the one line that an operator is shown."""
    (line,) = complaints(result)
    assert "\n" not in line and "Traceback" not in line
    return line


def environment_of(kind: str, site: Site, folder: Folder, **others: str) -> dict[str, str]:
    """Return an environment in which one kind of credentials works."""
    if kind == "token-file":
        others = {"CYGNO_OIDC_TOKEN_FILE": str(site.token_file(folder)), **others}
    if kind == "refresh-token":
        path = folder.path / "refresh.json"
        if not path.exists():
            path.touch(0o600)
            path.write_text(json.dumps({"refresh_token": site.issuer.refresh_token()}))
        others = {"CYGNO_OIDC_REFRESH_TOKEN_FILE": str(path), **others}
    return site.environment(kind, **others)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_token_becomes_keys(kind: str, site: Site, place: Folder, data: Path) -> None:
    path = place.add(data / "run01104.mid")
    assert complaints(place.stage(**environment_of(kind, site, place))) == []
    assert place.content(path.name) == path.read_bytes()
    replica = place.replica(path.name)
    assert (replica.state, replica.verified_by) == (State.CATALOGUED, "server checksum")


def test_keys_are_renewed_in_mid_upload(
    site: Site, place: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session of 3 s, an upload of 5 s; the token ends as well and is fetched anew."""
    site.issuer.life_s = 2 * SESSION_S
    asked: list[float] = []
    assume = SessionCredentials._assume_role

    def counting(self: SessionCredentials, token: Token) -> dict[str, Any]:
        asked.append(time.monotonic())
        return assume(self, token)

    monkeypatch.setattr(SessionCredentials, "_assume_role", counting)
    path = write_run(place.data, 1, events=12)
    environment = site.environment("client-credentials", **SLOW, CYGNO_S3_BANDWIDTH="2.5 MB/s")
    assert complaints(place.stage(**environment)) == []
    assert place.content(path.name) == path.read_bytes()
    assert len(asked) >= 2
    assert time.monotonic() - asked[0] > SESSION_S  # the first session was over long before
    assert place.unfinished_uploads() == []


def test_a_session_that_the_server_ends_in_mid_upload_is_renewed(
    site: Site, place: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """We believe that it lasts; the server says no; the part is signed anew and sent again."""
    read = sessions._read_reply
    born: list[float] = []

    def hopeful(reply: dict[str, Any]) -> Any:
        keys = read(reply)
        born.append(keys.born_s)
        return replace(keys, end_s=keys.born_s + 3600)

    monkeypatch.setattr(sessions, "_read_reply", hopeful)
    path = write_run(place.data, 1, events=12)
    environment = site.environment("client-credentials", **SLOW, CYGNO_S3_BANDWIDTH="2.5 MB/s")
    assert complaints(place.stage(**environment)) == []
    assert place.content(path.name) == path.read_bytes()
    assert len(born) >= 2 and born[1] - born[0] >= SESSION_S - 1


def test_a_reader_may_not_write(site: Site, place: Folder, data: Path) -> None:
    path = place.add(data / "run01104.mid")
    environment = site.environment("client-credentials", CYGNO_S3_ROLE_ARN=READER)
    line = the_one_complaint(place.stage(**environment))
    assert "lack the right to it" in line and READER in line
    assert place.objects() == {}
    assert complaints(place.stage(**site.environment("client-credentials"))) == []
    assert place.content(path.name) == path.read_bytes()


WRONG = {
    "expired": ({"exp": 1_700_000_000}, "has expired"),
    "wrong audience": ({"aud": "somebody-else"}, "for audience somebody-else"),
    "wrong issuer": ({"iss": "https://evil.example.org"}, "of https://evil.example.org"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_token_that_is_refused_says_why(what: str, site: Site, place: Folder, data: Path) -> None:
    claims, says = WRONG[what]
    path = place.add(data / "run01104.mid")
    token = site.issuer.token(**claims)
    environment = environment_of("token-file", site, place)
    site.token_file(place, token)
    result = place.stage(**environment)
    line = the_one_complaint(result)
    assert says in line and str(place.path / "token") in line
    assert token not in line and token.split(".")[2] not in line
    assert (result.outcomes[0].state, place.objects()) == (State.FAILED, {})
    site.token_file(place)
    assert complaints(place.stage(**environment)) == []
    assert place.content(path.name) == path.read_bytes()


def test_an_expired_token_of_our_clock_is_told_before_sts_is_asked(
    site: Site, place: Folder
) -> None:
    path = site.token_file(place, site.issuer.token(exp=int(time.time()) - 90))
    environment = site.environment("token-file", CYGNO_OIDC_TOKEN_FILE=str(path))
    with pytest.raises(CredentialsError, match=r"has expired 9\d s ago: let who writes it"):
        credentials_for(
            place.configuration(**environment).settings, environment, None
        ).for_botocore()


def test_an_unknown_role_and_a_forged_token(site: Site, place: Folder, data: Path) -> None:
    place.add(data / "run01104.mid")
    role = "arn:aws:iam::role/Nobody"
    line = the_one_complaint(
        place.stage(**site.environment("client-credentials", CYGNO_S3_ROLE_ARN=role))
    )
    assert "gave no keys for arn:aws:iam::role/Nobody" in line and "CYGNO_S3_ROLE_ARN" in line
    header, payload, signature = site.issuer.token().split(".")
    forged = f"{header}.{payload}.{signature[:-8]}AAAAAAAA"
    environment = environment_of("token-file", site, place)
    site.token_file(place, forged)
    assert "must trust this issuer" in the_one_complaint(place.stage(**environment))
    site.token_file(place, "this-is-no-token")
    assert "which is no JWT" in the_one_complaint(place.stage(**environment))


def test_a_token_that_others_can_read(site: Site, place: Folder, data: Path) -> None:
    place.add(data / "run01104.mid")
    environment = environment_of("token-file", site, place)
    (place.path / "token").chmod(0o640)
    assert "mode 0640, allowed 0600" in the_one_complaint(place.stage(**environment))


def test_a_client_that_is_refused(site: Site, place: Folder, data: Path) -> None:
    place.add(data / "run01104.mid")
    environment = site.environment("client-credentials", CYGNO_OIDC_CLIENT_SECRET="wrong-" * 4)
    line = the_one_complaint(place.stage(**environment))
    assert "refused client_credentials for client daq: invalid_client" in line
    assert "wrong-wrong" not in line


def test_the_secret_may_be_in_a_file(site: Site, place: Folder, data: Path) -> None:
    place.add(data / "run01104.mid")
    environment = site.environment("client-credentials")
    path = place.path / "secret"
    path.touch(0o600)
    path.write_text(environment.pop("CYGNO_OIDC_CLIENT_SECRET") + "\n")
    environment["CYGNO_OIDC_CLIENT_SECRET_FILE"] = str(path)
    assert complaints(place.stage(**environment)) == []


def test_what_is_missing_is_named(site: Site, place: Folder, data: Path) -> None:
    place.add(data / "run01104.mid")
    for kind, variable in (
        ("token-file", "CYGNO_OIDC_TOKEN_FILE"),
        ("client-credentials", "CYGNO_OIDC_CLIENT_SECRET"),
        ("client-credentials", "CYGNO_OIDC_ISSUER"),
        ("refresh-token", "CYGNO_OIDC_CLIENT_ID"),
        ("client-credentials", "CYGNO_S3_ROLE_ARN"),
    ):
        environment = {**site.environment(kind), variable: ""}
        assert f"set {variable}" in the_one_complaint(place.stage(**environment))


def test_refresh_tokens_rotate_and_are_kept(site: Site, place: Folder, data: Path) -> None:
    place.add(data / "run01104.mid")
    environment = environment_of("refresh-token", site, place)
    path = Path(environment["CYGNO_OIDC_REFRESH_TOKEN_FILE"])
    first = json.loads(path.read_text())["refresh_token"]
    assert complaints(place.stage(**environment)) == []
    second = json.loads(path.read_text())
    assert second["refresh_token"] != first
    assert (second["issuer"], second["client_id"]) == (site.issuer.url, CLIENT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert place.stage_in_process(**environment) == 0
    place.add(data / "run01105.mid.bz2")
    assert place.stage_in_process(**environment) == 0
    assert set(place.objects()) == {"run01104.mid", "run01105.mid.bz2"}


def test_a_revoked_refresh_token_says_log_in_again(site: Site, place: Folder, data: Path) -> None:
    place.add(data / "run01104.mid")
    environment = environment_of("refresh-token", site, place)
    site.issuer.revoke()
    line = the_one_complaint(place.stage(**environment))
    assert "expired or was revoked; log in again with cygno-stager login" in line
    given = {**environment, "CYGNO_OIDC_REFRESH_TOKEN": site.issuer.refresh_token()}
    assert complaints(place.stage(**given)) == []


def test_no_refresh_token_says_log_in(site: Site, place: Folder, data: Path) -> None:
    place.add(data / "run01104.mid")
    environment = site.environment("refresh-token", XDG_CONFIG_HOME=str(place.path / "config"))
    line = the_one_complaint(place.stage(**environment))
    assert "config/cygno-daq/refresh-token.json: get one with cygno-stager login" in line


def test_an_issuer_that_is_down_holds_everything_up_and_nothing_is_lost(
    site: Site, place: Folder, data: Path
) -> None:
    path = place.add(data / "run01104.mid")
    site.issuer.down = True
    result = place.stage(**site.environment("client-credentials"))
    assert f"{site.issuer.url}/.well-known/openid-configuration" in the_one_complaint(result)
    site.issuer.down = False
    assert complaints(place.stage(**site.environment("client-credentials"))) == []
    assert place.content(path.name) == path.read_bytes()


# the clockwork of renewal, without a server ------------------------------------------------------
class Tokens:
    """A source of tokens that counts."""

    given = forgotten = 0

    def token(self) -> Token:
        """Return one."""
        self.given += 1
        return Token(f"token-number-{self.given}", "the test")

    def forget(self) -> None:
        """Count."""
        self.forgotten += 1


def answer(number: int, life_s: float, skew_s: float = 0.0) -> dict[str, Any]:
    """Return what STS answers; its clock differs by `skew_s` from ours."""
    from datetime import UTC, datetime, timedelta
    from email.utils import format_datetime

    there = datetime.now(UTC) + timedelta(seconds=skew_s)
    keys = {
        "AccessKeyId": f"ASIA{number:08d}",
        "SecretAccessKey": f"secret-number-{number}",
        "SessionToken": f"session-number-{number}",
        "Expiration": there + timedelta(seconds=life_s),
    }
    headers = {"date": format_datetime(there, usegmt=True)}
    return {"Credentials": keys, "ResponseMetadata": {"HTTPHeaders": headers}}


PLACE = StsPlace("http://127.0.0.1:1", "us-east-1", WRITER, 0, "", 1.0)


@pytest.mark.parametrize("skew_s", [0, 86400, -86400])
def test_a_wrong_clock_here_does_not_make_keys_old(skew_s: float) -> None:
    asked: list[Token] = []

    def ask(token: Token) -> dict[str, Any]:
        asked.append(token)
        return answer(len(asked), 3600, skew_s)

    session = SessionCredentials(Tokens(), PLACE, ask)
    assert {session.keys().access_key for _ in range(5)} == {"ASIA00000001"}
    assert len(asked) == 1


def test_many_threads_share_one_renewal() -> None:
    asked: list[Token] = []
    gate = threading.Event()

    def ask(token: Token) -> dict[str, Any]:
        asked.append(token)
        gate.wait(10)
        return answer(len(asked), 3600)

    session = SessionCredentials(Tokens(), PLACE, ask)
    seen: list[str | None] = []
    threads = [threading.Thread(target=lambda: seen.append(session.keys().token)) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert set(seen) == {"session-number-1"} and len(asked) == 1


def test_good_keys_outlive_an_sts_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(sessions.time, "monotonic", lambda: clock[0])
    answers: list[Any] = [answer(1, 100), IssuerError("down"), answer(2, 100), IssuerError("down")]

    def ask(_: Token) -> dict[str, Any]:
        first = answers.pop(0)
        if isinstance(first, Exception):
            raise first
        return dict(first)

    session = SessionCredentials(Tokens(), PLACE, ask)
    assert session.keys().token == "session-number-1"
    clock[0] += 70  # time to renew early; STS is down, the keys are good still
    assert session.keys().token == "session-number-1"
    assert session.keys().token == "session-number-1"  # and it is not asked at each request
    assert len(answers) == 2
    clock[0] += 10
    assert session.keys().token == "session-number-2"
    clock[0] += 95  # nearly over: now it is an error
    with pytest.raises(IssuerError, match="down"):
        session.keys()


def test_nothing_shows_a_secret() -> None:
    session = SessionCredentials(Tokens(), PLACE, lambda _: answer(7, 60))
    keys = session.for_botocore()
    assert keys.get_frozen_credentials().secret_key == "secret-number-7"
    shown = f"{session!r} {keys!r} {session.source} {session.shown} {Token('tokentoken', 'x')!r}"
    assert "ASIA..." in shown
    for secret in ("secret-number-7", "session-number-7", "token-number", "tokentoken"):
        assert secret not in shown


def test_a_session_is_kept_between_passes_until_something_of_it_changes(
    site: Site, place: Folder
) -> None:
    environment = site.environment("client-credentials")
    secret = place.path / "secret"
    secret.touch(0o600)
    secret.write_text(environment.pop("CYGNO_OIDC_CLIENT_SECRET"))
    environment["CYGNO_OIDC_CLIENT_SECRET_FILE"] = str(secret)

    def look_up(**others: str) -> object:
        given = {**environment, **others}
        return credentials_for(place.configuration(**given).settings, given, None)

    first = look_up()
    assert look_up() is first
    assert look_up(CYGNO_S3_TAG="OTHER", CYGNO_S3_PART_SIZE_MIB="32") is first
    assert look_up(CYGNO_S3_ROLE_ARN=READER) is not first
    assert look_up() is first  # two places with roles of their own do not cost each other's
    secret.write_text("another-secret-of-the-client")
    assert look_up() is not first


def test_a_refresh_token_that_cannot_be_kept_is_used_from_memory(
    site: Site, place: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full when the issuer has just replaced the token."""
    environment = environment_of("refresh-token", site, place)
    path = Path(environment["CYGNO_OIDC_REFRESH_TOKEN_FILE"])
    source = token_source(place.configuration(**environment).settings, environment)
    before = path.read_text()
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(private.os, "fsync", full)
        first = source.token()
    assert path.read_text() == before
    assert "No space left on device: the new refresh token is in memory only" in caplog.text
    source.forget()
    assert source.token().value != first.value  # with the one in memory
    kept = json.loads(path.read_text())["refresh_token"]
    assert kept in site.issuer.refresh_tokens and kept not in before
