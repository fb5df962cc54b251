"""``cygno-stager catalog`` and the reading of the catalog from Python, on both databases."""

import io
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from rawdata.datamodel import RUNLOG_COLUMNS
from stager import runlogcsv
from stager.catalog import Catalog
from stager.errors import CatalogError, ConfigurationError, FileError
from stager.main import app
from stager.models import Replica, Runlog, State, now
from stager.records import Quality, QualityValue, SlowControl
from stager.runs import open_runs
from tests.stager.mariadb import MariaDb
from tests.stager.rows import add_file, add_run
from tests.stager.staging import Folder

CYGNO = [column.name for column in RUNLOG_COLUMNS]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["catalog", *arguments])


def ask(url: str, *arguments: str) -> Any:
    """Return what a command prints as JSON."""
    result = invoke(*arguments, "--catalog", url, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


def row(number: int, **more: Any) -> Runlog:
    """Return a row of the run log: run N begins N minutes after noon."""
    columns = {
        "run_description": f"run {number}",
        "start_time": datetime(2026, 11, number, 12, number),
        "pedestal_run": False,
        "source_type": 0,
        "storage_cloud_status": -1,
        **more,
    }
    return Runlog(run_number=number, **columns)


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A catalog with runs of all kinds, in all states, which tests only read."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('filled')}/catalog.sqlite"
    else:
        server: MariaDb = request.getfixturevalue("mariadb")
        url = server.url(server.new_database())
    fill(url)
    return url


def fill(url: str) -> None:
    catalog = Catalog(url)
    with catalog.write() as session:
        session.add_all(
            [
                row(1, pedestal_run=True, run_description="PED [closed] 100%"),
                row(2, source_type=1, run_type=4, run_description="Fe, 4cm Cu_shield"),
                row(3, stop_time=datetime(2026, 11, 3, 12, 7), number_of_events=400.0),
                row(4),
                row(5),
            ]
        )
        for number, states in {
            2: [State.CATALOGUED, State.CATALOGUED],
            3: [State.HASHED, State.CATALOGUED],
            4: [State.DELETED, State.DELETED],
            6: [State.DISCOVERED],
        }.items():
            for index, state in enumerate(states):
                path = Path(f"/data/run{number:05}.{index}")
                add_file(session, path, number, state=state, size_bytes=1_000_000)
        for index, places in enumerate((["tape"], ["tape", "nas"])):
            file = add_file(session, Path(f"/data/run00002.{index}"), 2)
            for place in places:
                copy = Replica(place=place, kind="command", state=State.FAILED, required=False)
                copy.updated_at = now()
                file.replicas.append(copy)
        failed = Replica(place="cloud", kind="s3", state=State.FAILED, updated_at=now())
        failed.reason, failed.object_key = "server [down]", "LNGS/run00005.mid"
        add_file(session, Path("/data/run00005.mid"), 5, replicas=[failed])
        add_run(session, 3, note="3 events were sent, 2 are in the file", trigger_events=400)
        session.add(
            Quality(run_number=3, verdict="good", summary={}, file_sha256="", updated_at=now())
        )
        session.flush()
        for name, value, text in (
            ("noise_adu", 2.5, None),
            ("fe55_fit_status", None, "ok"),
            ("frames_lost", 0.0, None),  # a run has it, too
        ):
            session.add(QualityValue(run_number=3, quantity=name, value=value, text=text))
        for subrun, mean, readings in ((0, 10.0, 3), (1, 14.0, 1)):
            session.add(
                SlowControl(
                    run_number=3,
                    subrun=subrun,
                    equipment="Environment",
                    bank="INPT",
                    channel=3,
                    name="P0IIn3",
                    readings=readings,
                    mean=mean,
                    lowest=mean - 1,
                    highest=mean + 1,
                )
            )
    catalog.close()


@pytest.mark.parametrize(
    ("options", "runs"),
    [
        ([], [1, 2, 3, 4, 5, 6]),
        (["--limit", "2"], [5, 6]),
        (["--runs", "3"], [3]),
        (["--runs", "2-4"], [2, 3, 4]),
        (["--runs", "5-"], [5, 6]),
        (["--runs", "-2"], [1, 2]),
        (["--since", "2026-11-03"], [3, 4, 5]),
        (["--until", "2026-11-03"], [1, 2, 3]),
        (["--since", "2026-11-03 12:04"], [4, 5]),
        (["--until", "2026-11-03 12:03"], [1, 2, 3]),
        (["--type", "pedestal"], [1]),
        (["--type", "source"], [2]),
        (["--type", "background"], [3, 4, 5, 6]),
        (["--run-type", "4"], [2]),
        (["--text", "4CM CU_"], [2]),
        (["--text", "%"], [1]),
        (["--text", "were sent"], [3]),
        (["--state", "catalogued"], [2]),
        (["--state", "hashed"], [3]),
        (["--state", "deleted"], [4]),
        (["--state", "failed"], [5]),
        (["--state", "discovered"], [6]),
        (["--state", "none"], [1]),
        (["--state", "none", "--type", "source"], []),
    ],
)
def test_runs_are_chosen(filled: str, options: list[str], runs: list[int]) -> None:
    answer = ask(filled, "list", *options)
    assert [run["run_number"] for run in answer["runs"]] == runs


def test_a_row_tells_cygnos_columns_and_more(filled: str) -> None:
    (run,) = ask(filled, "list", "--runs", "3")["runs"]
    assert list(run)[: len(CYGNO)] == CYGNO
    expected = {
        "start_time": "2026-11-03T12:03:00",
        "files": 2,
        "size_bytes": 2_000_000,
        "state": "hashed",
        "quality": "good",
        "trigger_events": 400,
        "tag": "LNGS",
    }
    assert {key: run[key] for key in expected} == expected


def test_a_failure_at_an_optional_place_is_noted_and_fails_no_run(filled: str) -> None:
    runs = {run["run_number"]: run for run in ask(filled, "list", "--runs", "2-5")["runs"]}
    assert (runs[2]["state"], runs[2]["optional_failed"]) == ("catalogued", "nas, tape")
    assert (runs[2]["files"], runs[2]["size_bytes"]) == (2, 2_000_000)
    assert (runs[5]["state"], runs[5]["optional_failed"]) == ("failed", None)
    with open_runs(filled) as opened:
        assert list(opened.array(first=2, last=3)["optional_failed"]) == ["nas, tape", ""]


def test_tables_are_for_people(filled: str) -> None:
    text = invoke("list", "--catalog", filled).stdout
    for word in ("pedestal", "PED [closed]", "2026-11-03 12:03:00", "0:04:00", "hashed", "good"):
        assert word in text
    assert "p%40ss" not in text and "p@ss" not in text
    text = invoke("show", "5", "--catalog", filled).stdout
    assert "run00005.mid" in text and "server [down]" in text
    text = invoke("show", "3", "--catalog", filled).stdout
    assert "noise_adu" in text and "P0IIn3" in text
    assert "no such run" in invoke("search", "nothing", "--catalog", filled).stdout


def test_one_run_is_told_with_all_that_belongs_to_it(filled: str) -> None:
    answer = ask(filled, "show", "3")
    assert answer["run"]["run_number"] == 3
    assert [file["name"] for file in answer["files"]] == ["run00003.0", "run00003.1"]
    assert answer["quality"] == {"noise_adu": 2.5, "fe55_fit_status": "ok", "frames_lost": 0}
    assert [channel["mean"] for channel in answer["slow_control"]] == [10.0, 14.0]
    result = invoke("show", "9", "--catalog", filled)
    assert isinstance(result.exception, CatalogError)
    assert "there is no run 9 in" in str(result.exception)


def test_python_gets_dicts_arrays_and_frames(filled: str) -> None:
    with open_runs(filled) as runs:
        assert [run["run_number"] for run in runs.find(since=date(2026, 11, 4))] == [4, 5]
        array = runs.array(last=3)
        assert list(array["run_number"]) == [1, 2, 3]
        assert list(array[array["pedestal_run"] == 1]["run_number"]) == [1]
        assert array["start_time"][2] == np.datetime64("2026-11-03T12:03:00")
        assert np.isnat(array["stop_time"][0]) and np.isnan(array["events"][0])
        assert array["run_description"][0] == "PED [closed] 100%"
        assert runs.array(first=99).dtype.names == array.dtype.names
        noise = runs.quality("noise_adu")
        assert [tuple(value) for value in noise] == [(3, datetime(2026, 11, 3, 12, 3), 2.5)]
        pressure = runs.slow_control("P0IIn3", equipment="Environment")
        assert pressure[["run_number", "mean", "lowest", "highest"]].tolist() == [
            (3, 11.0, 9.0, 15.0)
        ]
        assert runs.run(3)["quality"]["noise_adu"] == 2.5
        with pytest.raises(ConfigurationError, match="there is no filter 'typ'; known: first, "):
            runs.find(typ="pedestal")
        with pytest.raises(ConfigurationError, match="kind is 'x'; allowed: pedestal, source"):
            runs.find(kind="x")
        with pytest.raises(ConfigurationError, match="'gestern' is no time; wanted 2026-11-27"):
            runs.find(since="gestern")


def test_pandas_gets_a_frame(filled: str) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed: pip install pandas")
    with open_runs(filled) as runs:
        frame = runs.frame(kind="background", until="2026-11-05")
    assert list(frame.index) == [3, 4, 5]
    assert frame.loc[3, "number_of_events"] == 400
    assert str(frame.start_time.dtype).startswith("datetime64")


def test_reading_changes_nothing(catalog_url: str, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"there is no catalog|has no schema"):
        open_runs(catalog_url)
    with pytest.raises(CatalogError, match=r"there is no catalog .*nowhere.sqlite"):
        open_runs(tmp_path / "nowhere.sqlite")
    assert not (tmp_path / "nowhere.sqlite").exists()
    Catalog(catalog_url).close()
    result = invoke("migrate", "--to", "0002", "--catalog", catalog_url)
    assert result.exit_code == 1  # nobody said yes
    result = invoke("migrate", "--to", "0002", "--yes", "--catalog", catalog_url)
    assert "-> 0002" in result.stdout
    with pytest.raises(CatalogError, match=r"has schema 0002, this program reads 0.* migrate"):
        open_runs(catalog_url)
    assert invoke("migrate", "--catalog", catalog_url).exit_code == 0
    open_runs(catalog_url).close()


def test_the_catalog_must_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CYGNO_STAGER_CATALOG", raising=False)
    with pytest.raises(ConfigurationError, match="which catalog"):
        open_runs()
    result = invoke("list")
    assert "which catalog? give --catalog URL" in str(result.exception)
    monkeypatch.setenv("CYGNO_STAGER_CATALOG", "sqlite:////nowhere.sqlite")
    with pytest.raises(CatalogError, match=r"there is no catalog /nowhere.sqlite"):
        open_runs()


def test_real_rows_come_back_as_they_were(catalog_url: str, tmp_path: Path, data: Path) -> None:
    """252 rows of the LNGS detector: in, out, equal; in once more: nothing new."""
    real = data / "runlog_lngs.csv"
    assert len(ask(catalog_url, "import", str(real))["new"]) == 252
    header = real.read_text().splitlines()[0]
    result = invoke("export", "--columns", header, "--catalog", catalog_url)
    assert result.stdout == real.read_text()
    out = tmp_path / "out.csv"
    assert invoke("export", "-o", str(out), "--catalog", catalog_url).exit_code == 0
    assert out.read_text().splitlines()[0] == ",".join(CYGNO)
    again = ask(catalog_url, "import", str(out))
    assert (again["new"], len(again["same"]), again["changed"]) == ([], 252, [])
    assert list(tmp_path.glob(".*")) == []


CSV = "run_number,run_description,pedestal_run,trigger_veto_time,start_time\n"


def test_rows_that_differ_are_refused_or_replaced(catalog_url: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(CSV + "7,one,1,1970-01-01 00:01:40,2026-11-27 10:00:00\n")
    assert ask(catalog_url, "import", str(file))["new"] == [7]
    file.write_text(CSV + "7,two,1,100,\n8,new,0,,\n")
    result = invoke("import", str(file), "--catalog", catalog_url)
    assert "says otherwise of run 7; nothing was imported" in str(result.exception)
    with open_runs(catalog_url) as runs:
        assert [(r["run_description"], r["trigger_veto_time"]) for r in runs.find()] == [
            ("one", 100)
        ]
    answer = ask(catalog_url, "import", str(file), "--overwrite")
    assert (answer["new"], answer["changed"]) == ([8], [7])
    with open_runs(catalog_url) as runs:
        assert [r["run_description"] for r in runs.find()] == ["two", "new"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no column run_number in its first line"),
        ("run_number,colour\n", "has a column 'colour' that the run log does not have"),
        (CSV + "7,a,maybe,1,\n", "rows, line 2: pedestal_run is 'maybe'; allowed: 0 or 1"),
        (CSV + "7,a,1,1.5,\n", "trigger_veto_time is '1.5'; allowed: a whole number"),
        (CSV + "7,a,1,1,now\n", "start_time is 'now'; allowed: YYYY-MM-DD HH:MM:SS"),
        (CSV + "7,a,1\n", "rows, line 2: 3 values for 5 columns"),
        (CSV + ",a,1,1,\n", "rows, line 2: run_number is empty"),
        (CSV + "7,a,1,1,\n7,b,1,1,\n", "has run 7 more than once"),
        ("run_number,file_checksum\n7," + "f" * 33, "allowed: up to 32 characters"),
        ("run_number,exposure_sec\n7,inf", "exposure_sec is 'inf'; allowed: a number"),
    ],
)
def test_bad_files_are_told_by_line_and_column(text: str, says: str) -> None:
    with pytest.raises(FileError, match=says):
        runlogcsv.read_csv(io.StringIO(text), "rows")


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "run_number": st.integers(1, 2**31 - 1),
                "run_description": st.none()
                | st.text(st.characters(exclude_categories=["C"]), min_size=1).filter(
                    lambda text: text not in runlogcsv._NOTHING
                ),
                "exposure_sec": st.none() | st.floats(allow_nan=False, allow_infinity=False),
                "pedestal_run": st.none() | st.booleans(),
                "file_size": st.none() | st.integers(-1, 2**62),
                "start_time": st.none()
                | st.datetimes(datetime(1000, 1, 1), datetime(9999, 1, 1)).map(
                    lambda t: t.replace(microsecond=0)
                ),
            }
        ),
        unique_by=lambda r: r["run_number"],
    )
)
def test_csv_gives_back_what_it_was_given(rows: list[dict[str, Any]]) -> None:
    columns = [
        "run_number",
        "run_description",
        "exposure_sec",
        "pedestal_run",
        "file_size",
        "start_time",
    ]
    out = io.StringIO()
    runlogcsv.write_csv(rows, columns, out)
    assert runlogcsv.read_csv(io.StringIO(out.getvalue()), "rows") == rows


def test_columns_can_be_chosen(filled: str) -> None:
    result = invoke("export", "--columns", "run_number, note", "--runs", "3", "--catalog", filled)
    assert result.stdout == 'run_number,note\n3,"3 events were sent, 2 are in the file"\n'
    result = invoke("export", "--columns", "run", "--catalog", filled)
    assert "there is no column 'run'; known: run_number, " in str(result.exception)
    result = invoke("export", "-o", "/nowhere/x.csv", "--catalog", filled)
    assert str(result.exception) == "/nowhere/x.csv cannot be written: No such file or directory"


def test_an_experiments_folder_names_its_catalog(folder: Folder, data: Path) -> None:
    folder.add(data / "run01104.mid")
    folder.stage()
    result = invoke("list", "--experiment", str(folder.path), "--json")
    (run,) = json.loads(result.stdout)["runs"]
    assert (run["run_number"], run["trigger_events"], run["state"]) == (1104, 4, "catalogued")


@pytest.mark.parametrize("command", ["list", "search", "show", "export", "import", "migrate"])
def test_help_has_examples(command: str) -> None:
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert f"cygno-stager catalog {command} " in result.stdout
