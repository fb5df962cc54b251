"""The logger writes every event of a run into one file, and says why where it cannot."""

import json
import resource
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import sim.logger
from experiment.constants import STATE_RUNNING, STATE_STOPPED, TR_START
from experiment.errors import ExperimentError, TransitionFailedError
from experiment.standalone.client import StandaloneClient
from rawdata.checksum import crc32c, read_sidecar, sidecar_path
from rawdata.odbdump import get
from rawdata.runfile import RunFile
from sim.logger_channel import ChannelSettings
from sim.programs import Programs
from tests.conftest import wait_until
from tests.sim.running import end, event, running_experiment, start_logger

SETTINGS = "/Logger/Channels/0/Settings"
STATISTICS = "/Logger/Channels/0/Statistics"
World = tuple[Programs, StandaloneClient]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_experiment(tmp_path_factory.mktemp("experiment")) as (programs, client):
        start_logger(programs, client)
        yield programs, client


@pytest.fixture
def client(world: World) -> Iterator[StandaloneClient]:
    client = world[1]
    before = client.odb_get(SETTINGS)
    logger = {key: client.odb_get(f"/Logger/{key}") for key in client.odb_get("/Logger")}
    yield client
    if client.odb_get("/Runinfo/State") != STATE_STOPPED:
        client.stop_run()
    client.odb_set(SETTINGS, before, remove_unspecified_keys=False)
    for key, value in logger.items():
        if not isinstance(value, dict):
            client.odb_set(f"/Logger/{key}", value)
    for alarm in client.get_triggered_alarms():
        client.reset_alarm(alarm)


def send(client: StandaloneClient, count: int, size: int = 1000, first: int = 0) -> None:
    handle = client.open_event_buffer("SYSTEM")
    for serial in range(first, first + count):
        assert client.send_buffer(handle, event(serial, size), 10_000)


def take_run(client: StandaloneClient, count: int, size: int = 1000) -> Path:
    client.start_run()
    send(client, count, size)
    client.stop_run()
    return current_file(client)


def current_file(client: StandaloneClient) -> Path:
    name = str(client.odb_get(f"{SETTINGS}/Current filename"))
    return Path(str(client.odb_get("/Logger/Data dir")), name)


def last_messages(client: StandaloneClient, count: int = 8) -> str:
    return "\n".join(client.get_recent_messages(count))


def read(path: Path) -> list[tuple[int, bytes]]:
    with RunFile(path) as events:
        return [(e.event_id, bytes(e.raw)) for e in events]


@pytest.mark.parametrize(
    ("compress", "suffix"),
    [("none", ""), ("gzip", ".gz"), ("lz4", ".lz4"), ("bzip2", ".bz2"), ("zstd", ".zst")],
)
def test_every_event_is_written_between_two_odb_dumps(
    client: StandaloneClient, compress: str, suffix: str
) -> None:
    client.odb_set(f"{SETTINGS}/Compress", compress)
    path = take_run(client, 300, size=9001)
    run = client.odb_get("/Runinfo/Run number")
    assert path.name == f"run{run:05d}.mid{suffix}"
    first, *events, last = read(path)
    assert (first[0], last[0]) == (0x8000, 0x8001)
    assert [raw for _, raw in events] == [bytes(event(n, 9001)) for n in range(300)]
    if compress in ("none", "lz4", "zstd"):
        sidecar = read_sidecar(sidecar_path(path))
        assert sidecar is not None
        assert sidecar.crc32c == crc32c(path.read_bytes())
    assert list(path.parent.glob(f"run{run:05d}.mid*.crc32c"))


def test_odb_dumps_tell_of_begin_and_end_of_run(client: StandaloneClient) -> None:
    client.odb_set(f"{SETTINGS}/Compress", "none")
    path = take_run(client, 5)
    with RunFile(path) as events:
        begin, after = events.odb_begin, events.odb_end
    assert begin is not None
    assert after is not None
    run = client.odb_get("/Runinfo/Run number")
    assert get(begin, "/Runinfo/Run number") == get(after, "/Runinfo/Run number") == run
    assert get(begin, f"{STATISTICS}/Events written") == 0
    assert get(after, f"{STATISTICS}/Events written") == 6
    assert get(begin, f"{SETTINGS}/Current filename") == path.name
    last = json.loads((path.parent / "last.json").read_text())
    assert last["Runinfo"]["Run number"] == run


def test_statistics_are_those_of_mlogger(client: StandaloneClient) -> None:
    client.odb_set(f"{SETTINGS}/Compress", "gzip")
    before = client.odb_get(STATISTICS)
    path = take_run(client, 20)
    after = client.odb_get(STATISTICS)
    size = path.stat().st_size
    with RunFile(path) as events:
        whole = sum(len(e.raw) for e in events)
    assert after["Events written"] == 22
    assert after["Bytes written"] == after["Bytes written subrun"] == size
    assert after["Bytes written uncompressed"] == whole
    assert after["Bytes written total"] == before["Bytes written total"] + size
    assert after["Files written"] == before["Files written"] + 1
    assert 0 < after["Disk level"] < 1
    assert f"wrote 20 events, {size} bytes, {path.name}" in last_messages(client)


def test_statistics_are_published_while_the_run_goes_on(client: StandaloneClient) -> None:
    client.odb_set(f"{SETTINGS}/Compress", "none")
    client.start_run()
    send(client, 3)
    wait_until(lambda: client.odb_get(f"{STATISTICS}/Events written") == 4, 10, "statistics")


def test_paused_run_goes_on_in_the_same_file(client: StandaloneClient) -> None:
    client.start_run()
    send(client, 2)
    client.pause_run()
    send(client, 2, first=2)
    client.resume_run()
    send(client, 2, first=4)
    client.stop_run()
    assert len(read(current_file(client))) == 8


def test_events_between_runs_are_not_written(client: StandaloneClient) -> None:
    send(client, 3)
    path = take_run(client, 2)
    send(client, 3)
    assert len(read(path)) == 4


def test_filter_and_missing_dumps(client: StandaloneClient) -> None:
    client.odb_set(f"{SETTINGS}/Event ID", 7)
    client.odb_set(f"{SETTINGS}/ODB dump", False)
    client.odb_set("/Logger/ODB Dump", True)
    client.start_run()
    handle = client.open_event_buffer("SYSTEM")
    for serial, event_id in enumerate([1, 7, 1, 7]):
        client.send_buffer(handle, event(serial, 100, event_id), 1000)
    client.stop_run()
    path = current_file(client)
    assert read(path) == [(7, bytes(event(n, 100, 7))) for n in (1, 3)]
    run = client.odb_get("/Runinfo/Run number")
    dump = json.loads((path.parent / f"run{run:05d}.json").read_text())
    assert dump["Runinfo"]["Run number"] == run


def test_event_limit_stops_the_run_and_starts_the_next_if_wished(client: StandaloneClient) -> None:
    client.odb_set(f"{SETTINGS}/Event limit", 10.0)
    client.odb_set("/Logger/Auto restart", True)
    client.start_run()
    run = client.odb_get("/Runinfo/Run number")
    path = current_file(client)
    send(client, 12)
    wait_until(lambda: client.odb_get("/Runinfo/Run number") == run + 1, 20, "the next run")
    assert len(read(path)) == 14
    wait_until(lambda: client.odb_get("/Runinfo/State") == STATE_RUNNING, 20, "it to run")
    wait_until(lambda: not client.odb_get("/Runinfo/Transition in progress"), 20, "it to begin")
    assert "event limit of 10 reached" in last_messages(client, 20)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("Byte limit", 9000.0, "byte limit of 9000 reached"),
        ("/Logger/Run duration", 1, "run duration of 1 s reached"),
    ],
)
def test_other_limits_stop_the_run(
    client: StandaloneClient, key: str, value: Any, said: str
) -> None:
    client.odb_set(f"{SETTINGS}/Compress", "none")
    client.odb_set(key if key.startswith("/") else f"{SETTINGS}/{key}", value)
    client.start_run()
    send(client, 12)
    wait_until(lambda: client.odb_get("/Runinfo/State") == STATE_STOPPED, 20, "the run to stop")
    assert said in last_messages(client)


def test_nothing_is_written_if_not_wished(client: StandaloneClient) -> None:
    before = client.odb_get(f"{STATISTICS}/Files written")
    for key in ("/Logger/Write data", f"{SETTINGS}/Active"):
        client.odb_set(key, False)
        client.start_run()
        assert f"is not written: {key} is off" in last_messages(client)
        client.stop_run()
        client.odb_set(key, True)
    assert client.odb_get(f"{STATISTICS}/Files written") == before


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("/Logger/Data dir", "/nowhere/at/all", "is not a folder"),
        ("/Logger/Free space floor MiB", 1e12, "is almost full"),
        (f"{SETTINGS}/Compress", "arj", "Compress is 'arj'; allowed: 'none', 'gzip'"),
        (f"{SETTINGS}/Filename", "run.mid", "one place for the run number"),
        (f"{SETTINGS}/Subrun Byte limit", 5.0, "Subrun Byte limit is 5.0; allowed: "),
        (f"{SETTINGS}/Output", "FTP", "Output is 'FTP'"),
    ],
)
def test_run_that_cannot_be_written_is_refused(
    client: StandaloneClient, key: str, value: Any, said: str
) -> None:
    client.odb_set(key, value)
    with pytest.raises(TransitionFailedError, match="Logger: ") as error:
        client.start_run()
    assert said in str(error.value)
    assert client.odb_get("/Runinfo/State") == STATE_STOPPED


def test_existing_run_file_is_never_overwritten(client: StandaloneClient) -> None:
    path = take_run(client, 3)
    content = path.read_bytes()
    client.odb_set(f"{SETTINGS}/Compress", "bzip2")
    client.odb_set("/Runinfo/Run number", client.odb_get("/Runinfo/Run number") - 1)
    with pytest.raises(TransitionFailedError, match="never overwritten"):
        client.start_run()
    assert path.read_bytes() == content
    client.odb_set("/Runinfo/Run number", client.odb_get("/Runinfo/Run number") + 10)


def test_run_that_another_program_refuses_leaves_no_file(client: StandaloneClient) -> None:
    client.register_transition_callback(TR_START, 500, lambda *_: (605, "the camera is off"))
    try:
        with pytest.raises(TransitionFailedError, match="the camera is off"):
            client.start_run()
    finally:
        client.deregister_transition_callback(TR_START)
    path = current_file(client)
    assert not path.exists()
    assert not list(path.parent.glob(f"{path.name}*"))
    assert "did not start: removed" in last_messages(client)
    assert len(read(take_run(client, 1))) == 3


def test_subfolder_by_date(client: StandaloneClient) -> None:
    client.odb_set(f"{SETTINGS}/Subdir format", "year-%Y")
    path = take_run(client, 1)
    assert path.parent.name.startswith("year-2")
    assert len(read(path)) == 3


def test_readers_of_choices_take_mloggers_way_to_write_them() -> None:
    settings = ChannelSettings(Compress="none (one of: none gzip lz4 bzip2 pbzip2)")
    assert settings.compress == "none"
    assert not ChannelSettings(**{"Data checksum": "NONE", "File checksum": "NONE"}).has_checksums


def test_killed_logger_leaves_whole_events_and_the_next_run_starts(tmp_path: Path) -> None:
    with running_experiment(tmp_path) as (programs, client):
        logger = start_logger(programs, client)
        client.odb_set(f"{SETTINGS}/Compress", "gzip")
        client.start_run()
        send(client, 100, size=5000)
        path = current_file(client)
        wait_until(lambda: path.stat().st_size > 400_000, 20, "events in the file")
        end(logger, signal.SIGKILL)
        programs.stop(names=["Logger"])
        events: list[bytes] = []
        with pytest.raises(Exception, match="run00001"), RunFile(path) as run_file:
            events.extend(bytes(e.raw) for e in run_file if e.event_id == 1)
        assert events == [bytes(event(n, 5000)) for n in range(len(events))]
        assert len(events) > 50
        start_logger(programs, client)
        wait_until(lambda: "Logger" in client.get_triggered_alarms(), 10, "the alarm")
        send(client, 100, first=100)  # the dead logger holds nobody back
        client.stop_run()
        second = take_run(client, 4)
        assert second.name == "run00002.mid.gz"
        assert len(read(second)) == 6


def test_logger_told_to_end_in_mid_run_closes_its_file_without_an_end_of_run(
    tmp_path: Path,
) -> None:
    with running_experiment(tmp_path) as (programs, client):
        logger = start_logger(programs, client)
        client.start_run()
        send(client, 50)
        assert end(logger) == 0
        path = current_file(client)
        assert [event_id for event_id, _ in read(path)] == [0x8000] + [1] * 50
        assert list(path.parent.glob("*.crc32c"))
        assert "goes on but is not written" in client.get_triggered_alarms()["Logger"]
        assert "without an end of run" in last_messages(client)
        client.stop_run()


def test_server_that_is_gone_for_good_costs_no_event(tmp_path: Path) -> None:
    with running_experiment(tmp_path) as (programs, client):
        with StandaloneClient("Logger", tmp_path, wait_s=0.2) as own:
            logger = sim.logger.Logger(own)
            assert logger.start(own, 1) is None
            send(client, 5)
            path = current_file(client)
            server = next(iter(programs)).process
            end(server, signal.SIGKILL)
            with pytest.raises(ExperimentError, match="cygno-sim serve"):
                logger.end("the server is gone")
            logger.rescue()
            assert [kind for kind, _ in read(path)] == [0x8000] + [1] * 5


def test_shutdown_by_an_operator_closes_the_file(tmp_path: Path) -> None:
    with running_experiment(tmp_path) as (programs, client):
        logger = start_logger(programs, client)
        client.start_run()
        send(client, 50)
        wait_until(lambda: client.odb_get(f"{STATISTICS}/Events written") == 51, 10, "events")
        client.shutdown_client("Logger")
        assert logger.wait(20) == 0
        assert [kind for kind, _ in read(current_file(client))] == [0x8000] + [1] * 50
        assert "goes on but is not written" in client.get_triggered_alarms()["Logger"]


def test_full_disk_stops_the_run_with_an_alarm_and_holds_nobody_back(
    tmp_path: Path,
) -> None:
    """A limit on the size of files (setrlimit) fails writes as a full disk does."""
    with running_experiment(tmp_path) as (programs, client):
        logger = start_logger(programs, client)
        client.odb_set(f"{SETTINGS}/Compress", "none")
        client.start_run()
        path = current_file(client)
        limit = path.stat().st_size + 500_000
        resource.prlimit(logger.pid, resource.RLIMIT_FSIZE, (limit, limit))
        send(client, 200, size=10_000)
        wait_until(lambda: client.odb_get("/Runinfo/State") == STATE_STOPPED, 20, "the stop")
        assert "cannot be written: File too large" in client.get_triggered_alarms()["Logger"]
        wait_until(lambda: "holds at most" in last_messages(client, 20), 10, "the summary")
        events = read(path)
        assert 10 < len(events) < 100
        assert [raw for kind, raw in events if kind == 1] == [
            bytes(event(n, 10_000)) for n in range(len(events) - 1)
        ]


def test_logger_without_an_experiment_says_what_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CYGNO_EXPERIMENT", str(tmp_path))
    monkeypatch.setattr(sim.logger, "StandaloneClient", partial(StandaloneClient, wait_s=0.1))
    assert sim.logger.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cygno-sim serve" in line
