"""The standalone web server: which pages it serves, to whom, and how it starts and ends."""

import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx
import pytest

import sim.web.__main__ as program
from experiment.standalone.client import StandaloneClient
from sim.web import labels
from sim.web.site import METHODS, MOST_BYTES
from tests.conftest import free_port, wait_until
from tests.sim.running import end, running_experiment
from tests.sim.web_server import Web, answers

PAGES = Path(__file__).parents[2] / "web"


# who may, and pages ------------------------------------------------------------------------------
def test_pages_of_other_sites_may_not_use_the_server(web: Web) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "null", "params": {}}
    assert web.post(request, origin="http://evil.example").status_code == 403
    assert web.post(request, origin="null").status_code == 403
    assert web.post(request, host="evil.example:80").status_code == 403
    assert web.post(request, origin=web.url).status_code == 200
    port = web.url.rpartition(":")[2]
    local = f"localhost:{port}"
    assert web.post(request, host=local, origin=f"http://{local}").status_code == 200


def test_only_pages_are_served(web: Web) -> None:
    for path in ("/__init__.py", "/../setup.cfg", "/%2e%2e/setup.cfg", "/nope.html", "/web"):
        assert httpx.get(web.url + path).status_code == 404
    assert httpx.post(f"{web.url}/", content=b"{}").status_code == 405
    huge = b" " * (MOST_BYTES + 1)
    assert web.post(huge).status_code == 413


def test_operator_page_and_all_it_needs(web: Web) -> None:
    page = httpx.get(f"{web.url}/")
    assert page.headers["content-type"].startswith("text/html")
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    local = [file for file in files if not file.startswith("data:")]
    assert sorted(local) == ["cygno.css", "cygno.js", "latest.js", "settings.js"]
    for file in local:
        assert httpx.get(f"{web.url}/{file}").status_code == 200


def test_operator_page_calls_what_there_is() -> None:
    script = (PAGES / "cygno.js").read_text(encoding="utf-8")
    called = set(re.findall(r'(?:call\(|\[)"((?:db|cm|al|get|bm)_\w+)"', script))
    assert {"db_get_values", "db_ls", "cm_transition", "al_reset_alarm"} < called
    assert called <= set(METHODS)
    ids = set(re.findall(r'byId\("([\w-]+)"\)', script))
    assert ids <= set(re.findall(r'id="([\w-]+)"', (PAGES / "index.html").read_text("utf-8")))


def test_labels_of_the_page_are_those_of_the_settings() -> None:
    text = labels.page_file().read_text(encoding="utf-8")
    assert text == labels.page_labels(), "stale: run python -m sim.web.labels"


def test_further_folder_of_pages(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "gas.html").write_text("<p>gas</p>")
    port = free_port()
    with running_experiment(tmp_path / "x") as (programs, _):
        programs.start("web", "sim.web", "--port", str(port), "--pages", str(tmp_path / "pages"))
        wait_until(lambda: answers(f"http://127.0.0.1:{port}"), 20, "the web server")
        assert httpx.get(f"http://127.0.0.1:{port}/gas.html").text == "<p>gas</p>"


# life --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "shutdown"])
def test_server_ends_when_told(tmp_path: Path, how: str) -> None:
    port = free_port()
    with running_experiment(tmp_path) as (programs, client):
        process = programs.start("web", "sim.web", "--port", str(port)).process
        wait_until(lambda: answers(f"http://127.0.0.1:{port}"), 20, "the web server")
        if how == "shutdown":
            client.shutdown_client("cygno-web")
            assert process.wait(20) == 0
        else:
            assert end(process, signal.Signals[how]) == 0


def test_port_that_is_taken_is_said(web: Web) -> None:
    port = web.url.rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "sim.web", "--port", port],
        env={**os.environ, "CYGNO_EXPERIMENT": str(web.client.folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"cannot serve http://127.0.0.1:{port}/: Address already in use" in line


def test_missing_experiment_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CYGNO_EXPERIMENT", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["sim.web", "--port", "0"])
    monkeypatch.setattr(program, "StandaloneClient", partial(StandaloneClient, wait_s=0.1))
    assert program.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cygno-sim serve" in line
