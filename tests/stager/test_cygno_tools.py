"""CYGNO's own programs, and MIDAS's logger, on the run log that we keep: all go on as before.

Their queries are those of CYGNO's ``middleware`` (``fileCompressor.py``, ``midas2cloud.py``,
``cloud2tape_v3.py``, ``fullRecoSentinel_v3.00.py``, ``rm_local_midas_run.py``) and of its library
(``read_cygno_logbook``), which ask by column names and by places of columns.
"""

from datetime import datetime
from typing import Any

import pytest

from rawdata.datamodel import RUNLOG_COLUMNS
from stager.catalog import Catalog
from stager.once import stage_once
from tests.stager.mariadb import MariaDb
from tests.stager.mlogger import Key, Mlogger, links_begin, links_end
from tests.stager.runs import write_run
from tests.stager.staging import Folder, Silent


class World:
    """A database with a connection of the library itself, and a folder that is staged into it."""

    def __init__(self, server: MariaDb, folder: Folder) -> None:
        self.server, self.folder = server, folder
        self.database = server.new_database()
        self.connection = server.connect(self.database)
        self.logger = Mlogger(self.connection)

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Ask as CYGNO's programs do."""
        with self.connection.cursor() as cursor:
            cursor.execute(query)
            names = [column[0] for column in cursor.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        self.connection.commit()
        return rows

    def row(self, run: int) -> dict[str, Any]:
        """``daq_run_info``: all that the run log says of one run."""
        (row,) = self.ask(f"SELECT * FROM Runlog WHERE run_number = {run}")
        return row

    def update(self, run: int, column: str, value: object) -> None:
        """``update_sql_value``, with which all their flags are set."""
        self.ask(f"UPDATE `Runlog` SET `{column}` = '{value}' WHERE `run_number` = '{run}'")

    def migrate(self) -> None:
        Catalog(self.server.url(self.database)).close()

    def stage(self) -> None:
        url = self.server.url(self.database)
        configuration = self.folder.configuration(CYGNO_STAGER_CATALOG=url)
        result = stage_once(configuration, lambda: None, lambda: None, Silent())
        assert {outcome.state for outcome in result.outcomes} <= {"catalogued"}

    def take_run(self, number: int, events: int = 3) -> None:
        """Take a run as MIDAS does: the logger writes its row, the file, its row again."""
        self.logger.begin_run(links_begin(number))
        write_run(self.folder.data, number, events=events, size_bytes=1000, compress="gzip")
        self.logger.end_run(number, links_end(events))


@pytest.fixture
def world(mariadb: MariaDb, folder: Folder) -> Any:
    world = World(mariadb, folder)
    yield world
    world.connection.close()
    assert world.logger.errors == []


def test_a_table_that_the_logger_made_is_adopted(world: World) -> None:
    world.take_run(11774)
    before = world.row(11774)
    world.migrate()
    after = world.row(11774)
    assert {name: after[name] for name in before} == before
    assert before["run_description"] == "S003:DATA:Fe"
    assert before["start_time"] == datetime(2023, 12, 14, 23, 33, 17)
    assert set(after) == {column.name for column in RUNLOG_COLUMNS}
    world.take_run(11775)
    world.stage()
    row = world.row(11775)
    assert (row["storage_local_status"], row["storage_cloud_status"]) == (1, 1)
    assert row["file_s3_tag"] == world.folder.tag
    assert row["number_of_events"] == 3.0
    assert row["GEM1_V"] == 420.0
    assert len(str(row["file_checksum"])) == 32


def test_runs_that_the_logger_did_not_write_get_rows_in_its_table(world: World) -> None:
    """Its columns are NOT NULL, and a site links to more than anybody else knows."""
    world.logger.begin_run(
        links_begin(1, laser_power=Key("FLOAT", 1.5), crew=Key("STRING", "A", 32))
    )
    world.migrate()
    write_run(world.folder.data, 2, events=1, size_bytes=1000)
    world.stage()
    row = world.row(2)
    assert (row["storage_cloud_status"], row["laser_power"], row["crew"]) == (1, None, None)
    # And the logger goes on with its own, in the types that it knows.
    world.logger.begin_run(
        links_begin(3, laser_power=Key("FLOAT", 2.5), crew=Key("STRING", "B", 32))
    )
    assert (world.row(3)["laser_power"], world.row(3)["crew"]) == (2.5, "B")


def test_the_logger_goes_on_with_a_table_that_we_made(world: World) -> None:
    world.migrate()
    world.take_run(7)
    world.logger.begin_run(links_begin(8, laser_power=Key("FLOAT", 1.5)))  # adds its column
    world.stage()
    row = world.row(7)
    assert row["run_description"] == "S003:DATA:Fe"
    assert (row["sequencer_running"], row["trigger_veto_time"], row["source_position"]) == (
        1,
        10,
        17.5,
    )
    assert row["stop_time"] == datetime(2023, 12, 14, 23, 37, 21)
    assert (row["storage_local_status"], row["storage_cloud_status"]) == (1, 1)
    assert world.row(8)["laser_power"] == 1.5


def test_what_the_logger_takes_back_is_said_again(world: World) -> None:
    """The end-of-run row may be written after the stager has been, and a run begun twice."""
    world.migrate()
    world.logger.begin_run(links_begin(7))
    write_run(world.folder.data, 7, events=3, size_bytes=1000)
    world.stage()
    world.logger.end_run(7, links_end(4))
    assert world.row(7)["storage_local_status"] == 0
    world.stage()
    assert (world.row(7)["storage_local_status"], world.row(7)["number_of_events"]) == (1, 3.0)
    world.logger.begin_run(links_begin(7, "again"))
    assert world.row(7)["storage_cloud_status"] == -1
    world.stage()
    row = world.row(7)
    assert (row["storage_local_status"], row["storage_cloud_status"]) == (1, 1)
    assert row["storage_tape_status"] == -1
    assert row["file_s3_tag"] == world.folder.tag


def test_what_others_set_is_left_as_it_is(world: World) -> None:
    """``rm_cloud_run.py`` sets 2, the tape copier 1, reconstruction its own number."""
    world.migrate()
    world.take_run(7)
    world.stage()
    world.update(7, "storage_cloud_status", 2)
    world.update(7, "storage_tape_status", 1)
    world.update(7, "online_reco_status", -2)
    world.stage()
    row = world.row(7)
    assert (row["storage_cloud_status"], row["storage_tape_status"]) == (2, 1)
    assert row["online_reco_status"] == -2


def test_their_programs_find_what_they_look_for(world: World) -> None:
    world.migrate()
    for number, events in ((7, 12), (8, 3), (9, 11)):
        world.take_run(number, events)
    world.logger.begin_run(links_begin(10))  # is being taken
    # fileCompressor: a run whose end was written has events.
    assert [world.row(n)["number_of_events"] for n in (7, 10)] == [12.0, None]
    world.stage()
    # Sentinel: what to reconstruct, the newest first.
    sentinel = (
        "SELECT * FROM Runlog WHERE number_of_events > 10 AND storage_cloud_status = 1 "
        "AND online_reco_status = -1 ORDER BY run_number DESC"
    )
    assert [row["run_number"] for row in world.ask(sentinel)] == [9, 7]
    world.update(9, "online_reco_status", -2)
    assert [row["run_number"] for row in world.ask(sentinel)] == [7]
    # cloud2tape: in the cloud, not on tape, not too old.
    to_tape = (
        "SELECT run_number, file_s3_tag, file_size FROM Runlog WHERE storage_cloud_status = 1 "
        "AND storage_tape_status < 1 AND start_time > '2023-12-01' ORDER BY run_number"
    )
    found = world.ask(to_tape)
    assert [row["run_number"] for row in found] == [7, 8, 9]
    assert {row["file_s3_tag"] for row in found} == {world.folder.tag}
    name = "run00007.mid.gz"
    assert found[0]["file_size"] == world.folder.objects()[name]
    # rm_local_midas_run: both copies must be there.
    world.update(7, "storage_tape_status", 1)
    row = world.row(7)
    assert row["storage_cloud_status"] == 1 and row["storage_tape_status"] == 1
    # read_cygno_logbook: a range of runs, all columns, every value as text.
    book = world.ask("SELECT * FROM Runlog WHERE run_number BETWEEN 7 AND 9 ORDER BY run_number")
    texts = [{name: str(value) for name, value in row.items()} for row in book]
    assert [row["pedestal_run"] for row in texts] == ["0", "0", "0"]
    assert [int(row["run_number"]) for row in texts] == [7, 8, 9]
    assert texts[0]["start_time"] == "2023-12-14 23:33:17"


def test_programs_that_ask_by_place_find_the_columns_in_their_order(world: World) -> None:
    world.migrate()
    world.take_run(7)
    with world.connection.cursor() as cursor:
        cursor.execute("SELECT * FROM Runlog")
        assert [column[0] for column in cursor.description] == [c.name for c in RUNLOG_COLUMNS]
