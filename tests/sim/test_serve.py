"""A served experiment, as operators have it: page, runs, stager, programs that come back."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rawdata.runfile import RunFile
from sim.programs import Programs
from sim.serve import Reviver
from tests.conftest import free_port, wait_until
from tests.sim.test_run import programs_of


class Page:
    """What a page does: JSON-RPC calls to one port."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/"

    def call(self, method: str, **params: Any) -> Any:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {"Content-Type": "application/json"}
        body = json.dumps(request).encode()
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}?mjsonrpc", body, headers), timeout=20
        ) as answer:
            return json.load(answer)["result"]

    def get(self, path: str) -> Any:
        return self.call("db_get_values", paths=[path])["data"][0]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Page, Path]]:
    """An experiment with a small camera, served for a test."""
    port = free_port()
    options = ["--camera", "128x128", "--rate", "20", "--output", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "sim.main", "serve", "--port", str(port), *options],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    try:
        assert "is up" in line, line + process.communicate(timeout=30)[1]
        yield process, Page(port), tmp_path
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        wait_until(lambda: programs_of(tmp_path) == [], 30, "all programs to be gone")


def take_run(page: Page, events: int) -> int:
    """Take one run through the page; return its number."""
    page.call("db_paste", paths=["/Configurations/MaxEvents"], values=[events])
    before = int(page.get("/Runinfo/Run number"))
    page.call("cm_transition", transition="TR_START")
    record = "/Equipment/Trigger/Run/Run number"
    # A UINT32 is text in JSON-RPC, as MIDAS writes it: "0x00000001".
    wait_until(lambda: int(page.get(record) or "0", 0) == before + 1, 60, "the run's record")
    wait_until(lambda: page.get("/Runinfo/State") == 1, 20, "the run to end")
    return before + 1


def test_a_run_from_the_page_ends_up_in_s3_and_the_programs_end_with_ctrl_c(
    served: tuple[subprocess.Popen[str], Page, Path],
) -> None:
    process, page, folder = served
    run = take_run(page, 10)
    with RunFile(folder / "data" / f"run{run:05d}.mid.gz") as events:
        assert sum(1 for event in events if event.event_id == 1) == 10

    def staged() -> bool:
        command = [sys.executable, "-m", "stager.main", "status", "--json"]
        done = subprocess.run(
            [*command, "--experiment", str(folder)], capture_output=True, text=True, check=True
        )
        return done.stdout.count('"catalogued"') >= 2

    wait_until(staged, 60, "raw file and results in S3")

    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in said
    assert programs_of(folder) == []


def test_a_program_that_dies_is_started_again(
    served: tuple[subprocess.Popen[str], Page, Path],
) -> None:
    _, page, _ = served

    def pid_of(name: str) -> int | None:
        clients = page.get("/System/Clients")
        found = [pid for pid, c in clients.items() if isinstance(c, dict) and c["name"] == name]
        return int(found[0]) if found else None

    wait_until(lambda: pid_of("cygno-frontend-trigger"), 60, "the trigger frontend")
    first = pid_of("cygno-frontend-trigger")
    assert first
    os.kill(first, signal.SIGKILL)
    wait_until(
        lambda: (pid := pid_of("cygno-frontend-trigger")) and pid != first, 30, "a new frontend"
    )
    wait_until(
        lambda: (
            "transition start" in page.get("/System/Clients")[str(pid_of("cygno-frontend-trigger"))]
        ),
        30,
        "the new frontend to take part in runs",
    )
    assert take_run(page, 5) == 1


def test_a_program_that_always_ends_is_started_with_growing_patience(tmp_path: Path) -> None:
    said: list[str] = []
    clock = 0.0
    with Programs(tmp_path) as programs:
        wanted = {"broken": ("no_such_module",)}
        programs.start("broken", *wanted["broken"])
        reviver = Reviver(programs, wanted, said.append, now=lambda: clock)
        for wait_s in (0, 1, 2, 4):
            (program,) = programs
            program.process.wait(60)
            reviver.work()
            clock += wait_s - 0.01
            reviver.work()
            assert (next(iter(programs)) is program) == (wait_s > 0)
            clock += 0.01
            reviver.work()
            assert next(iter(programs)) is not program
    assert [line.partition("started again")[2] for line in said] == [
        "",
        " in 1 s",
        " in 2 s",
        " in 4 s",
    ]
    assert "broken ended with code 1, saying: " in said[0]
    assert "No module named no_such_module" in said[0]
