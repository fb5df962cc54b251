"""kill -9 of one program in mid-run: whole events stay readable, and the next run starts."""

import os
import signal
from pathlib import Path

import pytest

from experiment.constants import STATE_STOPPED
from rawdata.runfile import RunFile, RunFileError
from sim.programs import Programs
from sim.run import (
    ANALYZER,
    FRONTENDS,
    LOGGER,
    RunPlan,
    apply_plan,
    count_triggers,
    is_connected,
    start_experiment,
    start_programs,
    wait_for_analysis,
)

TRIGGER = {"cygno-frontend-trigger": FRONTENDS["cygno-frontend-trigger"]}
PROGRAMS = {**LOGGER, **ANALYZER, **TRIGGER}
PLAN = RunPlan(events=-1, seed=5, camera="256x256", rate_hz=20)


def count_whole_events(file: Path) -> int:
    """Count trigger events up to the end or the damage of a file."""
    count = 0
    with RunFile(file) as events:
        try:
            for event in events:
                count += event.event_id == 1
        except RunFileError as damage:
            assert damage.event_index is not None
    return count


@pytest.mark.parametrize("victim", sorted(PROGRAMS))
def test_a_killed_program_costs_no_written_event_and_no_next_run(
    victim: str, tmp_path: Path
) -> None:
    with Programs(tmp_path) as programs:
        client = start_experiment(programs)
        apply_plan(client, PLAN, tmp_path)
        start_programs(programs, client, PROGRAMS)
        client.start_run()
        sent = "/Equipment/Trigger/Statistics/Events sent"
        first = tmp_path / "data" / "run00001.mid.gz"
        programs.wait_for(lambda: client.odb_get(sent) > 40, 30, "40 events")

        process = next(p.process for p in programs if p.name == victim)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        programs.stop(names=[victim])
        programs.wait_for(lambda: not is_connected(client, victim), 15, f"{victim} to be removed")
        if client.odb_get("/Runinfo/State") != STATE_STOPPED:
            client.stop_run()
        assert count_whole_events(first) > 0

        start_programs(programs, client, {victim: PROGRAMS[victim]})
        client.odb_set("/Configurations/MaxEvents", 10)
        client.start_run()
        assert client.odb_get("/Runinfo/Run number") == 2
        programs.wait_for(
            lambda: client.odb_get("/Runinfo/State") == STATE_STOPPED, 60, "run 2 to end"
        )
        wait_for_analysis(programs, client, 2, 60)
        assert count_triggers(tmp_path / "data" / "run00002.mid.gz") == 10
        assert client.odb_get("/Equipment/Analyzer/Run/Events analyzed") == 10
        client.disconnect()
