"""The analyzer as a process of a real experiment: all events, the same numbers, in nobody's way."""

import json
import math
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from analyzer.dtypes import EventFlag
from analyzer.online import CLIENT_NAME
from analyzer.pedestal_files import pedestal_name, write_pedestals
from analyzer.results import open_results
from analyzer.summary import read_summary, summary_path
from experiment.constants import STATE_STOPPED, TR_START
from experiment.errors import TransitionFailedError
from rawdata.build import EventBuilder
from rawdata.event import EVENT_HEADER, BankFormat, parse_event
from rawdata.layouts import slow
from rawdata.runfile import RunFile
from tests.analyzer.online_bench import PATH, physics, running
from tests.analyzer.run_making import TIME, make_event, one_board
from tests.analyzer.scenes import make_scene
from tests.conftest import suspend, wait_until


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with running(tmp_path_factory.mktemp("online")) as made:
        made.start_logger()
        made.start_analyzer()
        yield made


@pytest.fixture
def bench(shared):
    yield shared
    shared.end_run_left_over()


def test_recorded_run_gives_online_what_it_gives_from_file(bench, data, tmp_path):
    with RunFile(data / "run01104.mid") as file:
        events = [event for event in file if event.event_id == 1]
    run, record = bench.take(events)
    assert record["Events sent"] == record["Events seen"] == record["Events analyzed"] == 4
    assert record["Events lost"] == 0
    assert not record["Completed from file"]
    assert record["Reco file"] == str(bench.reco(run))
    bench.require_same_as_file(run, tmp_path)
    assert bench.odb("Variables/Fraction seen") == 1.0
    assert bench.odb("Variables/Missed busy") == 0
    assert bench.odb("Variables/Noise") == pytest.approx(3.1, abs=0.2)
    assert bench.odb("Variables/Image mean") == pytest.approx(100, abs=2)
    assert bench.odb("Variables/Camera Noise") == pytest.approx([3.1, 0, 0, 0, 0, 0], abs=0.2)
    assert bench.odb("Variables/PMT baseline") == pytest.approx(3650, abs=50)
    assert "no earlier pedestal fits camera 0" in bench.messages()
    assert "take a pedestal run" in bench.messages()


def test_pedestal_run_makes_the_pedestal_that_the_next_run_uses(bench, tmp_path):
    scene = make_scene((96, 96), seed=3)
    bench.client.odb_set("/Configurations/Pedestal", True)
    run, record = bench.take([make_event(n, {0: scene.frame()}) for n in range(30)])
    bench.client.odb_set("/Configurations/Pedestal", False)
    assert Path(record["Pedestal file"]).is_file()
    said = [line for line in bench.messages().splitlines() if f"run {run}: " in line]
    assert not any("take a pedestal run" in line for line in said)  # it is one
    assert f"pedestal of camera 0 from run {run}: 30 frames" in bench.messages()
    later, _ = bench.take(list(physics(10)))
    with open_results(bench.reco(later)) as results:
        assert f'"run": {run}' in results.attributes["pedestals"]
        assert not results["events"]["flags"].any()
        assert len(results["clusters"]) == 10
    bench.require_same_as_file(later, tmp_path)


@pytest.mark.parametrize("count", [1, 3])
def test_frames_of_another_size_than_the_nearest_pedestals(bench, tmp_path, count):
    last = bench.client.odb_get("/Runinfo/Run number")
    nearest = bench.folder / "data" / pedestal_name(last)
    write_pedestals(nearest, {0: make_scene((96, 96), seed=3).pedestal})
    small = make_scene((64, 64))
    run, record = bench.take([make_event(n, {0: small.frame()}) for n in range(count)])
    assert (record["Events analyzed"], record["Completed from file"]) == (count, False)
    with open_results(bench.reco(run)) as results:
        bad = results["events"]["flags"] & np.uint16(EventFlag.BAD_FRAME) != 0
    assert bad.tolist() == [count == 1] * count  # of one frame alone nobody knows
    bench.require_same_as_file(run, tmp_path)


def test_events_that_were_overwritten_unread_are_completed_from_file(bench, tmp_path):
    run = bench.begin()
    made = list(physics(400))
    bench.send(made[:5])
    wait_until(lambda: bench.odb("Variables/Events seen") >= 5, 20, "first events")
    suspend(bench.analyzer.pid)
    try:
        bench.send(made[5:390])
    finally:
        os.kill(bench.analyzer.pid, signal.SIGCONT)
    bench.send(made[390:])
    bench.end(run, len(made))
    record = bench.wait_for_results(run)
    assert record["Events seen"] < 400
    assert record["Events analyzed"] == 400
    assert record["Events lost"] == 0
    assert record["Completed from file"]
    assert "events overwritten before read" in record["Missed"]
    bench.require_same_as_file(run, tmp_path)
    assert not list((bench.folder / "data").glob("*.partial"))


def test_an_analyzer_that_is_killed_and_comes_back_completes_the_run(bench, tmp_path):
    run = bench.begin()
    made = list(physics(40))
    bench.send(made[:10])
    bench.kill_analyzer()
    bench.send(made[10:20])
    bench.start_analyzer()
    bench.send(made[20:])
    bench.end(run, len(made))
    record = bench.wait_for_results(run)
    assert record["Events analyzed"] == 40
    assert record["Completed from file"]
    assert "taken before the analyzer joined in mid-run" in record["Missed"]
    assert 10 <= bench.odb("Variables/Missed before joining") <= 20
    bench.require_same_as_file(run, tmp_path)


def test_a_run_that_starts_while_the_analyzer_connects_is_joined(bench, tmp_path):
    bench.kill_analyzer()

    def connect_late(client, run_number):
        """Come into the experiment when it is settled already whom the start is told."""
        bench.start_analyzer()

    bench.client.register_transition_callback(TR_START, 100, connect_late)
    try:
        run = bench.begin()
    finally:
        bench.client.deregister_transition_callback(TR_START)
    made = list(physics(10))
    bench.send(made[:5])
    wait_until(lambda: f"joins run {run}" in bench.messages(), 20, "the analyzer to join")
    bench.send(made[5:])
    bench.end(run, len(made))
    assert bench.wait_for_results(run)["Events analyzed"] == 10
    bench.require_same_as_file(run, tmp_path)


def test_data_taking_goes_on_without_the_analyzer(bench):
    bench.kill_analyzer()
    run = bench.begin()
    bench.send(physics(10))
    bench.end(run, 10)
    assert not bench.reco(run).exists()
    bench.start_analyzer()
    run, record = bench.take(list(physics(3)))
    assert record["Events analyzed"] == 3


def test_bad_events_are_told_and_the_rest_is_analyzed(bench):
    made = list(physics(6))
    made[2] = make_event(2, None, one_board())
    made[4] = make_event(4, {0: np.zeros((32, 32), np.uint16)})
    run, record = bench.take(made)
    assert record["Events analyzed"] == 6
    assert record["Events troubled"] == 2
    text = bench.messages()
    assert f"run {run}, event 2: no camera bank" in text
    assert f"run {run}, event 4: bank CAM0 holds 1024 pixels, not 96x96" in text


def test_damaged_events_do_not_end_the_analysis(bench):
    made = list(physics(6))
    bad = bytearray(made[3].raw)
    bad[EVENT_HEADER.size + 8 : EVENT_HEADER.size + 12] = b"\xff\xff\xff\xff"
    run = bench.begin()
    bench.send(made[:3])
    assert bench.client.send_buffer(bench.buffer, memoryview(bad), 5000)
    bench.send(made[4:])
    bench.end(run, 6)
    record = bench.wait_for_results(run)
    assert record["Events analyzed"] == 5
    assert record["Events lost"] == 1
    assert f"run {run}: an event that came is damaged" in bench.messages()
    with open_results(bench.reco(run)) as results:
        assert results["events"]["event"].tolist() == [0, 1, 2, 4, 5]
        assert not results.attributes["complete"]
        assert "damaged" in results.attributes["trouble"]


def test_what_no_file_can_complete_is_counted_as_lost(bench):
    bench.configure(Complete_from_file=False)
    run = bench.begin()
    bench.send(physics(4, first=2))
    bench.end(run, 6)
    record = bench.wait_for_results(run)
    bench.configure(Complete_from_file=True)
    assert (record["Events seen"], record["Events analyzed"]) == (4, 4)
    assert record["Events lost"] == 2
    with open_results(bench.reco(run)) as results:
        assert results["events"]["event"].tolist() == [2, 3, 4, 5]


def test_results_that_cannot_be_written_online_come_from_the_file(bench, tmp_path):
    run = bench.client.odb_get("/Runinfo/Run number") + 1
    obstacle = bench.reco(run).with_name(f"{bench.reco(run).name}.partial")
    obstacle.mkdir()
    made, record = bench.take(list(physics(5)))
    obstacle.rmdir()
    assert made == run
    assert "cannot be written" in record["Missed"]
    assert record["Completed from file"]
    bench.require_same_as_file(run, tmp_path)


def test_the_operator_page_asks_for_the_latest_event(bench):
    run = bench.begin()
    bench.send(physics(8))
    wait_until(lambda: bench.ask("status")["analyzed"] == 8, 20, "the events")
    status = bench.ask("status")
    assert status["ok"]
    assert (status["state"], status["run"], status["seen"]) == ("running", run, 8)
    assert status["fraction_seen"] == 1.0
    image = bench.ask("image", colors="gray")
    assert (image["run"], image["rows"], image["columns"]) == (run, 96, 96)
    clusters = bench.ask("clusters", columns=["sc_integral"])
    assert clusters["columns"]["sc_integral"][0] == pytest.approx(6000, rel=0.1)
    assert clusters["event"] == image["event"]
    assert sum(bench.ask("spectra", names=["light"])["spectra"]["light"]["counts"]) == 8
    assert not bench.ask("image", camera=7)["ok"]
    bench.end(run, 8)
    bench.wait_for_results(run)
    assert bench.ask("status")["state"] == "no run"
    assert bench.ask("image")["event"] == image["event"]


READER = """
import json, sys
from analyzer.subscribe import subscribe
for message in subscribe(sys.argv[1], ["events", "run"], timeout_s=60):
    print(json.dumps({**message.header, "lost": message.lost, "serials":
        message.rows["serial"].tolist() if message.topic == "events" else []}), flush=True)
"""


def test_another_program_follows_the_results_and_its_end_disturbs_nobody(bench):
    address = bench.odb("Stream/Address")
    command = [sys.executable, "-c", READER, address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:

        def is_heard():
            bench.take(list(physics(1)))
            return select.select([reader.stdout], [], [], 0.1)[0]

        wait_until(is_heard, 60, "the subscription")
        run, record = bench.take(list(physics(20)))
        heard = []
        while not heard or (heard[-1]["run"], heard[-1].get("state")) != (run, "end"):
            heard.append(json.loads(reader.stdout.readline()))
        heard = [header for header in heard if header["run"] == run]
        reader.kill()
    assert (heard[0]["state"], heard[0]["joined"]) == ("begin", False)
    assert [header["serials"] for header in heard[1:-1]] == [[n] for n in range(20)]
    assert [header["event"] for header in heard[1:-1]] == list(range(20))
    end = heard[-1]
    assert (end["seen"], end["analyzed"], end["lost"]) == (20, 20, 0)
    assert end["output"] == record["Reco file"]
    _, record = bench.take(list(physics(5)))
    assert record["Events seen"] == 5


def test_a_quantity_beyond_its_limit_raises_one_alarm_until_it_is_well_again(bench):
    """Limits are edited while the run goes on."""
    limit = f"{PATH}/Limits/Noise"

    def alarms():
        return bench.client.get_triggered_alarms()

    def on(condition, what):
        """Wait for a condition while events come, so that checks go on."""

        def is_met():
            nonlocal sent
            bench.send([next(events)])
            sent += 1
            end = time.monotonic() + 0.5
            while not condition() and time.monotonic() < end:
                bench.client.communicate(10)
            return condition()

        wait_until(is_met, 30, what)

    run, events, sent = bench.begin(), physics(100_000), 0
    on(lambda: math.isnan(bench.odb("Variables/Live time %")), "no live time, as no frontend says")
    for name, program, percent in (
        ("Trigger", CLIENT_NAME, 97.5),
        ("Trigger01", CLIENT_NAME, 61.5),
        ("Trigger02", "gone", 5.0),  # of an earlier run
    ):
        bench.client.odb_set(f"/Equipment/{name}/Common/Frontend name", program)
        bench.client.odb_set(f"/Equipment/{name}/Variables/Live time %", percent)
    on(lambda: bench.odb("Variables/Live time %") == 61.5, "the lowest live time")
    bench.client.odb_set(f"{limit}/Violations", 1)
    bench.client.odb_set(f"{limit}/High", 1.0)
    on(lambda: "beyond limits: Noise" in bench.odb("Common/Status"), "the alarm")
    assert re.search(r"Noise 2\.\d+ ADU, limit 1: sensor cooling", alarms()["Analyzer Noise"])
    assert f"run {run}: noise of pixels without light (Noise) is 2." in bench.messages()
    bench.client.reset_alarm("Analyzer Noise")
    for _ in range(2):  # the second number is published when the check after the first is done
        seen = bench.odb("Variables/Events analyzed")
        on(lambda seen=seen: bench.odb("Variables/Events analyzed") > seen, "a check")
    assert alarms() == {}
    bench.client.odb_set(f"{limit}/High", 0.0)
    bench.client.odb_set(f"{limit}/Low", 0.5)  # above High: refused, the last ones count
    on(lambda: "High is 0.0: at least Low" in bench.messages(), "the refusal")
    bench.client.odb_set(f"{limit}/High", 6.0)
    on(lambda: "within its limits again" in bench.messages(), "the good news")
    bench.client.odb_set(f"{limit}/High", 1.0)
    on(lambda: "Analyzer Noise" in alarms(), "a second alarm")
    bench.client.odb_set(limit, {"Low": 0.0, "High": 6.0}, remove_unspecified_keys=False)
    bench.client.reset_alarm("Analyzer Noise")
    bench.end(run, sent)
    assert bench.wait_for_results(run)["Events analyzed"] == sent


def test_slow_control_counts_as_from_file(bench, tmp_path):
    """Of three readings before the first event the last, then two; the one after the last not."""

    def reading(number):
        builder = EventBuilder(memoryview(bytearray(500)), slow.ENVIRONMENT_ID, BankFormat.BANK)
        slow.encode_inputs(builder, [4.0 + number])  # 12.5 degrees for each mA over 4
        return parse_event(builder.finish(number, TIME + number))

    bench.client.odb_set("/Equipment/Environment/Settings/Names Input", ["P0IIn0"])
    run, made = bench.begin(), list(physics(4))
    order = [*map(reading, range(3)), made[0], reading(3), made[1], reading(4), *made[2:]]
    bench.send([*order, reading(5)])
    bench.end(run, 4)
    bench.wait_for_results(run)
    with open_results(bench.reco(run)) as results:
        readings = results["slow"]
    assert readings["event"].tolist() == [0, 1, 2]
    assert readings["value"] == pytest.approx([-50 + 12.5 * n for n in (2, 3, 4)])
    assert read_summary(summary_path(bench.reco(run)))["gas_temperature_c"] == pytest.approx(-12.5)
    bench.require_same_as_file(run, tmp_path)
    assert bench.odb("Variables/Gas temperature C") == pytest.approx(0.0)


def test_a_report_is_drawn_after_a_run_of_enough_events(bench):
    pytest.importorskip("matplotlib")
    bench.configure(Report_from=8)
    try:
        few, _ = bench.take(list(physics(7)))
        run, _ = bench.take(list(physics(8)))

        def is_told():
            path = f"{PATH}/Run/Report run"
            return bench.client.odb_exists(path) and bench.client.odb_get(path) == run

        wait_until(is_told, 60, "the report")
        report = Path(bench.odb("Run/Report file"))
        assert report == bench.folder / "data" / f"run{run:05d}.report.png"
        assert report.stat().st_size > 10_000
        assert not report.with_name(f"run{few:05d}.report.png").exists()
        obstacle = report.with_name(f"run{run + 1:05d}.report.png")
        obstacle.mkdir()
        bench.take(list(physics(8)))
        wait_until(lambda: f"run {run + 1}: no report" in bench.messages(), 60, "the failure")
        obstacle.rmdir()
    finally:
        bench.configure(Report_from=20)


def test_a_bad_setting_refuses_the_run_by_its_key(bench):
    bench.configure(nsigma=-1.0)
    try:
        with pytest.raises(TransitionFailedError, match=r"nsigma is -1.0"):
            bench.begin()
    finally:
        bench.configure(nsigma=0.6)
    assert bench.client.odb_get("/Runinfo/State") == STATE_STOPPED
    _, record = bench.take(list(physics(2)))
    assert record["Events analyzed"] == 2


def test_a_run_that_another_program_refuses_leaves_nothing(bench):
    bench.client.register_transition_callback(TR_START, 500, lambda *_: (603, "no camera"))
    try:
        with pytest.raises(TransitionFailedError, match="no camera"):
            bench.begin()
    finally:
        bench.client.deregister_transition_callback(TR_START)
    wait_until(lambda: not list((bench.folder / "data").glob("*.partial")), 10, "no partial file")
    _, record = bench.take(list(physics(2)))
    assert record["Events analyzed"] == 2


def test_it_ends_when_told_and_says_so(bench):
    run = bench.begin()
    bench.send(physics(3))
    process = bench.analyzer
    process.terminate()
    assert process.wait(20) == 0
    assert bench.odb("Variables/Ready") is False
    assert bench.odb("Common/Status") == "stopped"
    bench.end(run, 3)
    bench.start_analyzer()
    assert bench.odb("Variables/Ready") is True
