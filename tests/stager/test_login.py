"""A person logs in once: page and code are shown, the refresh token is kept, the stager uses it."""

import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stager.credentials.grants import RefreshFile
from stager.credentials.issuer import Client, Issuer
from stager.credentials.login import Invitation, log_in
from stager.errors import CredentialsError
from stager.main import app
from stager.once import complaints
from tests.stager.access import Site
from tests.stager.issuer import AUDIENCE, PUBLIC_CLIENT
from tests.stager.staging import Folder


def test_the_command_and_then_the_stager(site: Site, place: Folder, data: Path) -> None:
    path = place.path / "private" / "refresh.json"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "stager.main",
            "login",
            "--issuer",
            site.issuer.url,
            "--client-id",
            PUBLIC_CLIENT,
            "--refresh-token-file",
            str(path),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    shown = ""
    while not (found := re.search(r"Enter  (\S+)", shown)):
        line = process.stdout.readline()
        assert line, shown
        shown += line
    assert f"Open   {site.issuer.url}/activate" in shown
    site.issuer.agree(found[1])
    rest, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert f"logged in at {site.issuer.url}; the refresh token is in {path}" in rest
    assert not any(secret in shown + rest for secret in site.issuer.given)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    place.add(data / "run01104.mid")
    environment = site.environment(
        "refresh-token",
        CYGNO_OIDC_CLIENT_ID=PUBLIC_CLIENT,
        CYGNO_OIDC_CLIENT_SECRET="",
        CYGNO_OIDC_REFRESH_TOKEN_FILE=str(path),
    )
    assert complaints(place.stage(**environment)) == []
    assert list(place.objects()) == ["run01104.mid"]


class Person:
    """Somebody at the issuer's page, and the clock they live by."""

    def __init__(self, site: Site, tmp_path: Path) -> None:
        self.site = site
        self.file = RefreshFile(tmp_path / "refresh.json")
        self.seconds = 0.0
        self.waits: list[float] = []
        self.decide: Any = lambda code: None

    def invite(self, invitation: Invitation) -> None:
        self.code = invitation.code

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds or 60.0
        self.waits.append(seconds)
        if len(self.waits) == 3:
            self.decide(self.code)

    def log_in(self) -> None:
        log_in(
            Issuer(self.site.issuer.url),
            Client(PUBLIC_CLIENT),
            ("openid",),
            AUDIENCE,
            self.file,
            self.invite,
            self.sleep,
            lambda: self.seconds,
        )


@pytest.fixture
def person(site: Site, tmp_path: Path) -> Person:
    return Person(site, tmp_path)


def test_it_waits_as_long_as_the_person_needs(person: Person) -> None:
    person.decide = person.site.issuer.agree
    person.log_in()
    assert len(person.waits) == 3
    kept = json.loads(person.file.path.read_text())
    assert kept["refresh_token"] in person.site.issuer.refresh_tokens


def test_it_slows_down_when_it_is_asked_to(person: Person) -> None:
    def decide(code: str) -> None:
        person.site.issuer.agree(code)
        for device in person.site.issuer.devices.values():
            device["slow_down"] = 2

    person.decide = decide
    person.log_in()
    assert person.waits == [0, 0, 0, 5, 10]


def test_a_person_who_refuses(person: Person) -> None:
    person.decide = lambda code: person.site.issuer.agree(code, None)
    with pytest.raises(CredentialsError, match="refused on the issuer's page"):
        person.log_in()
    assert not person.file.path.exists()


def test_a_person_who_does_not_come(person: Person) -> None:
    with pytest.raises(CredentialsError, match="nobody logged in before the code expired"):
        person.log_in()
    assert person.seconds >= 300


def test_a_client_that_may_not(site: Site, tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="invalid_client"):
        log_in(
            Issuer(site.issuer.url),
            Client("nobody"),
            ("openid",),
            "",
            RefreshFile(tmp_path / "r"),
            lambda invitation: site.issuer.agree(invitation.code),
            lambda _: None,
        )


def test_what_it_needs_is_said_of_a_login(tmp_path: Path) -> None:
    """The settings may still say that keys are static."""
    result = CliRunner().invoke(app, ["login"], env={"HOME": str(tmp_path)})
    assert isinstance(result.exception, CredentialsError)
    assert "of kind refresh-token need an issuer: set CYGNO_OIDC_ISSUER" in str(result.exception)
