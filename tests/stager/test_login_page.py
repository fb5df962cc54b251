"""A person logs in with a real browser at a certified OpenID provider; the stager goes on.

By the stager's own command, and by oidc-agent.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.s3 import S3Server
from stager.once import complaints
from tests.conftest import free_port, require_module, require_program
from tests.stager.access import WRITER, iam
from tests.stager.conftest import make_folder
from tests.stager.test_oidc_agent import account, running_agent

PROVIDER = Path(__file__).parent / "oidc_provider"


AGENTS_CLIENT, AGENTS_SECRET = "daq-agent", "a-secret-of-the-agent"


@pytest.fixture
def provider() -> Iterator[str]:
    """npm's oidc-provider; its URL."""
    node = require_program("node", "nodejs")
    if not (PROVIDER / "node_modules").is_dir():
        missing = f"oidc-provider is not installed: npm install --prefix {PROVIDER}"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    process = subprocess.Popen(
        [node, str(PROVIDER / "provider.mjs"), str(free_port())],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def agree(url: str, person: str) -> None:
    """Open the page, confirm the code, log in, agree."""
    chromium = require_program("chromium")
    with require_module("playwright.sync_api").sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        try:
            page = browser.new_page()
            page.goto(url)
            page.get_by_role("button", name="Continue").click()
            page.fill("input[name=login]", person)
            page.fill("input[name=password]", "any")
            page.get_by_role("button", name="Sign-in").click()
            page.get_by_role("button", name="Continue").click()
            page.get_by_text("Sign-in Success").wait_for()
        finally:
            browser.close()


def test_a_person_logs_in_with_a_browser(provider: str, data: Path, tmp_path: Path) -> None:
    require_program("chromium")
    kept = tmp_path / "refresh.json"
    who = ["--issuer", provider, "--client-id", "daq-people"]
    with subprocess.Popen(
        [sys.executable, "-m", "stager.main", "login", *who, "--refresh-token-file", str(kept)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            shown = ""
            while not (found := re.search(r"or open (\S+)", shown)):
                line = process.stdout.readline()
                assert line, shown
                shown += line
            agree(found[1], "alice")
            rest, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert f"logged in at {provider}" in rest
    with S3Server(tmp_path / "s3", "daq", iam=iam(provider, "daq")) as server:
        folder = make_folder(server, tmp_path / "experiment")
        path = folder.add(data / "run01104.mid")
        for _ in range(2):  # with the token of the login, and with the one that replaced it
            environment = {
                "CYGNO_S3_CREDENTIALS": "refresh-token",
                "CYGNO_S3_ROLE_ARN": WRITER,
                "CYGNO_S3_SESSION_DURATION_S": "0",
                "CYGNO_OIDC_ISSUER": provider,
                "CYGNO_OIDC_CLIENT_ID": "daq-people",
                "CYGNO_OIDC_REFRESH_TOKEN_FILE": str(kept),
            }
            assert folder.stage_in_process(**environment) == 0
            folder.add(data / "run01105.mid.bz2")
        assert complaints(folder.stage(**environment)) == []
        assert folder.content(path.name) == path.read_bytes()
        assert len(folder.objects()) == 2


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # of liboidcagent
def test_an_agent_is_logged_in_with_a_browser(
    provider: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_program("chromium")
    with running_agent(tmp_path) as agent:
        with subprocess.Popen(
            account(provider, AGENTS_CLIENT, AGENTS_SECRET, "device"),
            env=agent.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None
                shown = ""
                while not (
                    found := re.search(r"(http\S+/device)\s.*enter the code: (\S+)", shown, re.S)
                ):
                    line = process.stdout.readline()
                    assert line, shown
                    shown += line
                agree(f"{found[1]}?user_code={found[2]}", "alice")
                rest, _ = process.communicate(timeout=60)
            finally:
                process.kill()
        assert process.returncode == 0, rest
        monkeypatch.setenv("OIDC_SOCK", agent.environment["OIDC_SOCK"])
        with S3Server(tmp_path / "s3", "daq", iam=iam(provider, "daq")) as server:
            folder = make_folder(server, tmp_path / "experiment")
            path = folder.add(data / "run01104.mid")
            environment = {
                "CYGNO_S3_CREDENTIALS": "oidc-agent",
                "CYGNO_S3_ROLE_ARN": WRITER,
                "CYGNO_S3_SESSION_DURATION_S": "0",
                "CYGNO_OIDC_ISSUER": provider,
                "CYGNO_OIDC_AGENT_ACCOUNT": "daq",
            }
            assert complaints(folder.stage(**environment)) == []
            assert folder.content(path.name) == path.read_bytes()
