"""MIDAS's own logger writes the run log into a real MariaDB, before and beside the stager."""

import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rawdata.datamodel import RUNLOG_COLUMNS
from stager.catalog import Catalog
from stager.configuration import configure
from stager.once import stage_once
from tests.conftest import wait_until
from tests.experiment import midas_programs as scripted
from tests.experiment.midas_world import MidasRuns
from tests.experiment.worlds import why_no_midas
from tests.stager.mariadb import PASSWORD, USER, MariaDb
from tests.stager.staging import Folder, Silent

pytestmark = pytest.mark.midas
COUNT = 8
SQL = "/Logger/Runlog/SQL"
LINKS = {
    "BOR": {
        "run_number": "/Runinfo/Run number",
        "run_description": "/Experiment/Run Parameters/Run description",
        "start_time": "/Runinfo/Start time",
        "exposure_sec": "/Configurations/Exposure",
        "storage_local_status": "/Configurations/storage_flag_default",
        "storage_cloud_status": "/Configurations/storage_flag_default",
        "storage_tape_status": "/Configurations/storage_flag_default",
        "pedestal_run": "/Configurations/Pedestal",
        "trigger_veto_time": "/Configurations/TriggerState/trigger_veto_time",
        "laser_power": "/Configurations/Laser",
    },
    "EOR": {
        "storage_local_status": "/Configurations/storage_flag_mid_written",
        "stop_time": "/Runinfo/Stop time",
        "number_of_events": scripted.SENT,
    },
}
"""Some of the LNGS detector's links, and one that only this site has."""


@pytest.fixture
def database(mariadb: MariaDb) -> str:
    return mariadb.new_database()


@pytest.fixture
def runs(mariadb: MariaDb, database: str) -> Iterator[MidasRuns]:
    """An experiment whose logger writes into this database."""
    why = why_no_midas()
    if why:
        pytest.skip(why)
    program = Path(os.environ["MIDASSYS"], "bin", "mlogger")
    if b"write_runlog_sql" not in program.read_bytes():
        pytest.skip(f"{program} was built without MySQL")
    with tempfile.TemporaryDirectory(prefix="cr-") as folder:
        world = MidasRuns(Path(folder))
        world.environment["MYSQL_TCP_PORT"] = str(mariadb.port)  # mlogger knows no other way
        try:
            world.set_up()
            prepare(world, database)
            world.start("send", sys.executable, "-m", scripted.__name__, "send", str(COUNT))
            control = world.peer("control")
            wait_until(lambda: control.odb_exists(f"{scripted.READY}/send"), 30, "the sender")
            yield world
        finally:
            world.close()


def prepare(world: MidasRuns, database: str) -> None:
    control = world.peer("control")
    control.start_run()  # whose times the links need
    control.stop_run()
    control.odb_set("/Experiment/Run Parameters/Run description", 'Fe, 4cm Cu, it\'s \\ "fine"')
    values = {
        "Exposure": 0.3,
        "Pedestal": False,
        "storage_flag_default": -1,
        "storage_flag_mid_written": 0,
        "Laser": 1.5,
        "TriggerState/trigger_veto_time": 10,
    }
    for name, value in values.items():
        control.odb_set(f"/Configurations/{name}", value)
    control.odb_set(scripted.SENT, 0)
    for which, links in LINKS.items():
        control.odb_delete(f"{SQL}/Links {which}")
        for name, target in links.items():
            control.odb_link(f"{SQL}/Links {which}/{name}", target)
    settings = {
        "Hostname": "127.0.0.1",
        "Username": USER,
        "Password": PASSWORD,
        "Database": database,
        "Table": "Runlog",
        "Create database": True,
        "Write data": True,
    }
    for name, value in settings.items():
        control.odb_set(f"{SQL}/{name}", value)


def take_run(world: MidasRuns) -> int:
    control = world.peer("control")
    control.start_run()
    wait_until(lambda: control.odb_get(scripted.SENT) == COUNT, 60, "all events sent")
    control.stop_run()
    return int(control.odb_get("/Runinfo/Run number"))


def row(mariadb: MariaDb, database: str, run: int) -> dict[str, Any]:
    names = mariadb.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'Runlog' "
        f"AND table_schema = '{database}' ORDER BY ordinal_position"
    )
    (values,) = mariadb.execute(f"SELECT * FROM Runlog WHERE run_number = {run}", database=database)
    return dict(zip((name for (name,) in names), values, strict=True))


@pytest.mark.parametrize("first", ["logger", "stager"])
def test_the_real_logger_and_the_stager_write_one_run_log(
    runs: MidasRuns, mariadb: MariaDb, database: str, folder: Folder, first: str
) -> None:
    url = mariadb.url(database)
    if first == "stager":
        Catalog(url).close()
    run = take_run(runs)
    told = row(mariadb, database, run)
    assert told["run_description"] == 'Fe, 4cm Cu, it\'s \\ "fine"'
    assert (told["storage_local_status"], told["storage_cloud_status"]) == (0, -1)
    assert isinstance(told["start_time"], datetime) and isinstance(told["stop_time"], datetime)
    assert (told["exposure_sec"], told["trigger_veto_time"], told["laser_power"]) == (0.3, 10, 1.5)

    environment = {
        **folder.environment,
        "CYGNO_STAGER_CATALOG": url,
        "CYGNO_STAGER_DATA_DIR": str(runs.data),
    }
    configuration = configure({}, folder.path, None, environment=environment)
    stage_once(configuration, lambda: None, lambda: None, Silent())
    after = row(mariadb, database, run)
    kept = set(told) - {"storage_local_status", "storage_cloud_status", "file_s3_tag"}
    kept -= {"file_size", "file_checksum", "online_reco_status", "total_gas_flow"}
    assert {name: after[name] for name in kept} == {name: told[name] for name in kept}
    assert (after["storage_local_status"], after["storage_cloud_status"]) == (1, 1)
    assert after["number_of_events"] == COUNT
    assert {column.name for column in RUNLOG_COLUMNS} <= set(after)

    second = take_run(runs)  # and the logger goes on in the table as it is now
    assert row(mariadb, database, second)["laser_power"] == 1.5
    messages = (runs.folder / "midas.log").read_text(errors="replace")
    assert "SQL error" not in messages.replace("doesn't exist", "").split("modified")[-1]
