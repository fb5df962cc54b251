"""The real oidc-agent keeps a person's login; the stager asks it for tokens."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from stager.once import complaints
from tests.conftest import require_program
from tests.stager.access import Site
from tests.stager.issuer import CLIENT, SECRET
from tests.stager.staging import Folder

pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning"  # liboidcagent leaves closing to the collector
)


@dataclass
class Agent:
    """A running oidc-agent."""

    environment: dict[str, str]
    pid: int

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run one of its commands."""
        return subprocess.run(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@contextmanager
def running_agent(tmp_path: Path) -> Iterator[Agent]:
    """An agent that knows no account yet."""
    require_program("oidc-agent")
    config = tmp_path / "oidc-agent"
    config.mkdir(0o700)
    environment = {**os.environ, "OIDC_CONFIG_DIR": str(config), "HOME": str(tmp_path)}
    started = subprocess.run(
        ["oidc-agent"], env=environment, capture_output=True, text=True, check=True
    )
    said = dict(re.findall(r"(OIDC_SOCK|OIDCD_PID)=([^;]+);", started.stdout))
    agent = Agent({**environment, **said}, int(said["OIDCD_PID"]))
    try:
        yield agent
    finally:
        os.kill(agent.pid, signal.SIGKILL)


def account(issuer: str, client: str, secret: str, flow: str) -> list[str]:
    """Return the command that makes the account ``daq`` at an issuer."""
    return [
        *("oidc-gen", "daq", f"--iss={issuer}", "-m", f"--flow={flow}"),
        *(f"--client-id={client}", f"--client-secret={secret}"),
        "--redirect-uri=edu.kit.data.oidc-agent:/redirect",
        "--scope=openid profile offline_access",
        *("--pw-cmd=echo encryption", "--prompt=none", "--confirm-default"),
    ]


@pytest.fixture
def agent(site: Site, tmp_path: Path) -> Iterator[Agent]:
    """An agent with the account ``daq`` at the tests' issuer, logged in by password."""
    with running_agent(tmp_path) as agent:
        made = agent.run(
            *account(site.issuer.url, CLIENT, SECRET, "password"),
            *("--op-username=alice", "--op-password=pw-of-alice"),
        )
        assert made.returncode == 0, made.stdout + made.stderr
        yield agent


def test_the_agents_tokens_become_keys(
    agent: Agent, site: Site, place: Folder, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = place.add(data / "run01104.mid")
    monkeypatch.setenv("OIDC_SOCK", agent.environment["OIDC_SOCK"])
    by_name = site.environment("oidc-agent", CYGNO_OIDC_AGENT_ACCOUNT="daq")
    assert complaints(place.stage(**by_name)) == []
    assert place.content(path.name) == path.read_bytes()
    other = place.add(data / "run01105.mid.bz2")
    assert complaints(place.stage(**site.environment("oidc-agent"))) == []  # by the issuer's URL
    assert place.content(other.name) == other.read_bytes()


def test_an_account_that_the_agent_does_not_have(
    agent: Agent, site: Site, place: Folder, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.add(data / "run01104.mid")
    monkeypatch.setenv("OIDC_SOCK", agent.environment["OIDC_SOCK"])
    environment = site.environment("oidc-agent", CYGNO_OIDC_AGENT_ACCOUNT="nobody")
    (line,) = complaints(place.stage(**environment))
    assert "oidc-agent gives no token for nobody" in line and "oidc-add nobody" in line


def test_a_login_that_was_revoked(
    agent: Agent, site: Site, place: Folder, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.add(data / "run01104.mid")
    monkeypatch.setenv("OIDC_SOCK", agent.environment["OIDC_SOCK"])
    site.issuer.revoke()
    environment = site.environment("oidc-agent", CYGNO_OIDC_AGENT_ACCOUNT="daq")
    (line,) = complaints(place.stage(**environment))
    assert "oidc-agent gives no token for daq: " in line and "\n" not in line


def test_an_agent_that_is_not_there(site: Site, place: Folder, data: Path) -> None:
    place.add(data / "run01104.mid")
    environment = site.environment("oidc-agent", CYGNO_OIDC_AGENT_ACCOUNT="daq")
    (line,) = complaints(place.stage(**environment))
    assert "oidc-agent cannot be reached (OIDC_SOCK env var not set)" in line
