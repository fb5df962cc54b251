"""Several places for each file: each with its own states, none holding up another."""

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from sim.s3 import S3Server
from stager.catalog import Catalog
from stager.crash import COMMAND_STEPS, COPY_STEPS
from stager.findings import Finding
from stager.models import File, Replica, Run, State, now
from stager.once import as_json, complaints
from stager.probes import check_place
from stager.settings import CLOUD
from tests.conftest import free_port
from tests.stager.conftest import make_folder
from tests.stager.mariadb import MariaDb
from tests.stager.runs import write_run
from tests.stager.staging import NAME, Folder, crc_of, replicas, run_command
from tests.stager.tape import Tape, configure_places


def test_a_file_reaches_all_its_places(
    folder: Folder, tape: Tape, second: Path, data: Path
) -> None:
    configure_places(folder, tape=tape.settings(), nas={"kind": "folder", "folder": str(second)})
    path = folder.add(data / NAME)
    outcome = folder.stage().outcomes[0]
    assert outcome.state == State.REPLICATED
    assert [place["place"] for place in outcome.places] == ["cloud", "tape", "nas"]
    assert outcome.object_key == folder.key(NAME)
    for content in (
        folder.content(NAME),
        tape.objects()[NAME],
        (second / folder.key(NAME)).read_bytes(),
    ):
        assert content == path.read_bytes()
    assert folder.file(NAME).state == State.REPLICATED
    found = replicas(folder)
    assert {name: r.verified_by for name, r in found.items()} == {
        "cloud": "server checksum",
        "tape": "check command",
        "nas": "read back",
    }
    assert found["tape"].checksum_algorithm == "ADLER32"
    assert found["nas"].checksum == crc_of(path)
    row = folder.runlog(1104)
    assert (row.storage_cloud_status, row.storage_tape_status) == (1, 1)
    assert folder.stage().outcomes == []
    assert (tape.calls("put"), list(second.glob(f"{folder.tag}/.*"))) == (1, [])


def test_an_optional_place_that_fails_keeps_nothing_up(
    folder: Folder, tape: Tape, data: Path
) -> None:
    configure_places(folder, tape=tape.settings(required=False))
    tape.break_(fail=["put"])
    folder.add(data / NAME)
    result = folder.stage()
    (line,) = complaints(result)
    assert line.startswith(f"run 1104, {NAME} at tape: place tape: {folder.key(NAME)}: ")
    assert "the robot has dropped the cartridge" in line
    told = as_json(result, "")
    assert (told["staged"], told["failed"], told["optional_failed"]) == (1, 0, 1)
    assert (told["files"][0]["state"], told["files"][0]["reason"]) == ("catalogued", "")
    assert {place["place"]: place["state"] for place in told["files"][0]["places"]} == {
        "cloud": "catalogued",
        "tape": "failed",
    }
    assert folder.file(NAME).state == State.CATALOGUED
    assert (folder.runlog(1104).storage_cloud_status, folder.runlog(1104).storage_tape_status) == (
        1,
        -1,
    )
    again = as_json(folder.stage(), "")
    assert (again["staged"], again["failed"], again["optional_failed"]) == (0, 0, 1)
    tape.break_()
    assert complaints(folder.stage()) == []
    assert (folder.file(NAME).state, folder.runlog(1104).storage_tape_status) == ("replicated", 1)


def test_all_commands_have_one_word_for_the_state_of_a_file(
    folder: Folder, tape: Tape, data: Path
) -> None:
    configure_places(folder, tape=tape.settings(required=False))
    tape.break_(fail=["put"])
    folder.add(data / NAME)
    staged = as_json(folder.stage(), "")["files"][0]["state"]
    text = run_command(folder, "status")
    (line,) = (line for line in text.splitlines() if NAME in line)
    (status,) = run_command(folder, "status", "--json")["runs"][0]["files"]
    (shown,) = run_command(folder, "catalog", "show", "1104", "--json")["files"]
    listed = run_command(folder, "catalog", "list", "--json")["runs"][0]
    assert {staged, status["state"], shown["state"], listed["state"]} == {"catalogued"}
    assert line.split()[5:8] == ["catalogued", "catalogued", "failed"]
    assert listed["optional_failed"] == "tape"
    table = run_command(folder, "catalog", "list").replace("│", " ")
    assert "failed at optional tape" in " ".join(table.split())
    assert run_command(folder, "catalog", "list", "--state", "failed", "--json")["runs"] == []
    (finding,) = (
        check
        for check in run_command(folder, "doctor", "--json")["checks"]
        if check["check"] == "files"
    )
    assert finding["seen"] == "1 failed at optional places"


def test_a_required_place_that_fails_keeps_the_file_open(
    folder: Folder, tape: Tape, data: Path
) -> None:
    configure_places(folder, tape=tape.settings())
    tape.break_(fail=["check"])
    folder.add(data / NAME)
    (line,) = complaints(folder.stage())
    assert "could not be asked for" in line
    assert tape.objects() == {}, "what cannot be asked for must not be sent: it may be there"
    assert folder.file(NAME).state == State.HASHED
    assert replicas(folder)["cloud"].state == State.CATALOGUED


def test_a_place_that_is_added_later_gets_what_is_there(
    folder: Folder, tape: Tape, data: Path
) -> None:
    folder.add(data / NAME)
    folder.stage()
    configure_places(folder, tape=tape.settings(kinds=["raw"]))
    assert folder.stage().outcomes[0].state == State.REPLICATED
    assert list(tape.objects()) == [NAME]
    assert folder.file(NAME).state == State.REPLICATED


def test_the_cloud_can_be_off(folder: Folder, second: Path, data: Path) -> None:
    configure_places(
        folder, cloud={"enabled": False}, nas={"kind": "folder", "folder": str(second)}
    )
    folder.add(data / NAME)
    assert folder.stage(CYGNO_S3_ENDPOINT=f"http://127.0.0.1:{free_port()}").troubles == {}
    assert folder.objects() == {}
    assert (folder.file(NAME).state, folder.runlog(1104).storage_cloud_status) == ("catalogued", -1)


def test_a_second_s3_has_its_own_server_bucket_and_keys(
    folder: Folder, s3: S3Server, data: Path
) -> None:
    folder.client().create_bucket(Bucket="mirror")
    keys = folder.path / "mirror.json"
    keys.touch(0o600)
    keys.write_text(json.dumps(folder.access))
    configure_places(
        folder,
        mirror={
            "kind": "s3",
            "endpoint": folder.access["endpoint"],
            "bucket": "mirror",
            "tag": f"{folder.tag}-copy",
            "credentials_file": str(keys),
        },
    )
    path = folder.add(data / NAME)
    assert complaints(folder.stage()) == []
    reply = folder.client().get_object(Bucket="mirror", Key=f"{folder.tag}-copy/{NAME}")
    assert reply["Body"].read() == path.read_bytes()
    assert replicas(folder)["mirror"].location == "mirror"
    # The cloud's keys are not tried elsewhere.
    keys.unlink()
    folder.add(data / "run01105.mid.bz2")
    (line,) = complaints(folder.stage())
    assert "mirror.json cannot be read" in line


def test_what_ails_a_further_place_is_said_in_its_own_words(folder: Folder, data: Path) -> None:
    """Not in the cloud's, whose settings and keys are right."""
    mirror = {"kind": "s3", "endpoint": folder.access["endpoint"], "bucket": "never-made"}
    configure_places(folder, mirror=mirror)
    folder.add(data / NAME)
    (line,) = complaints(folder.stage())
    assert line.startswith("mirror: no keys for S3: set CYGNO_PLACE_MIRROR_AWS_ACCESS_KEY_ID")
    assert "credentials_file of place mirror (mode 0600" in line
    own = {
        "CYGNO_PLACE_MIRROR_AWS_ACCESS_KEY_ID": folder.access["access_key"],
        "CYGNO_PLACE_MIRROR_AWS_SECRET_ACCESS_KEY": folder.access["secret_key"],
    }
    (line,) = complaints(folder.stage(**own))
    assert "has no bucket never-made: make it, or name another with bucket of place mirror" in line
    assert line.startswith("mirror: ") and "CYGNO_S3" not in line
    assert [check.seen for check in doctor_of(folder, own) if "CYGNO_S3" in check.seen] == []


def doctor_of(folder: Folder, environment: dict[str, str]) -> list[Finding]:
    """Try out the further places of a folder."""
    configuration = folder.configuration(**environment)
    return [
        finding
        for place in configuration.places
        if place.name != CLOUD
        for finding in check_place(configuration, place)
    ]


def test_one_place_that_is_away_is_said_once(folder: Folder, second: Path, data: Path) -> None:
    configure_places(folder, nas={"kind": "folder", "folder": str(second / "not mounted")})
    for name in (NAME, "run01105.mid.bz2"):
        folder.add(data / name)
    (line,) = complaints(folder.stage())
    assert "there is no folder" in line and "mount or make it" in line and "2 files wait" in line
    assert len(folder.objects()) == 2, "the cloud is not held up"
    assert not (second / "not mounted").exists()


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ({"kind": "floppy"}, "kind is 'floppy'"),
        ({"kind": "folder"}, "kind folder needs folder"),
        ({"kind": "command", "put": "x"}, "kind command needs put and check|needs check"),
        ({"kind": "folder", "folder": "/x", "bucket": "b"}, "bucket is for places of kind s3"),
        ({"kind": "folder", "folder": "/x", "kinds": ["cooked"]}, "kinds has 'cooked'"),
        ({"colour": "red"}, "there is no setting 'colour'; known: .*required"),
    ],
)
def test_a_place_that_cannot_be_is_refused(
    folder: Folder, place: dict[str, object], says: str
) -> None:
    from stager.errors import ConfigurationError

    configure_places(folder, spare=place)
    with pytest.raises(ConfigurationError, match=f"place spare: .*{says}|{says}"):
        folder.configuration()


# killed ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("step", sorted({*COPY_STEPS, *COMMAND_STEPS}))
def test_killed_at(folder: Folder, tape: Tape, second: Path, data: Path, step: str) -> None:
    configure_places(folder, tape=tape.settings(), nas={"kind": "folder", "folder": str(second)})
    path = folder.add(data / NAME)
    assert folder.stage_in_process(CYGNO_STAGER_CRASH_AT=step) == -9
    assert complaints(folder.stage()) == []
    assert folder.file(NAME).state == State.REPLICATED
    assert {r.state for r in folder.rows(Replica)} == {State.CATALOGUED}
    assert [p.name for p in (second / folder.tag).iterdir()] == [NAME]
    assert tape.objects() == {NAME: path.read_bytes()}
    assert folder.objects() == {NAME: path.stat().st_size}


@pytest.mark.parametrize("is_there", [False, True])
def test_what_a_copy_has_left_is_removed_and_not_that_of_its_sidecar(
    folder: Folder, second: Path, is_there: bool
) -> None:
    """Both may be copied at once, and the name of one begins as that of the other.

    A stager may be killed when its copy has its name already, and the temporary one still.
    """
    configure_places(folder, nas={"kind": "folder", "folder": str(second)})
    path = write_run(folder.data, 1, events=1, size_bytes=1000)
    path.with_name(f"{path.name}.crc32c").unlink()
    there = second / folder.tag
    there.mkdir()
    ours, another = there / f".{path.name}.123.part", there / f".{path.name}.crc32c.123.part"
    ours.touch()
    another.touch()
    if is_there:
        shutil.copy(path, there)
    assert complaints(folder.stage()) == []
    assert {p.name for p in there.iterdir()} == {path.name, another.name}


def test_two_stagers_bring_each_file_to_each_place_once(
    folder: Folder, tape: Tape, second: Path
) -> None:
    configure_places(folder, tape=tape.settings(), nas={"kind": "folder", "folder": str(second)})
    for number in range(1, 5):
        write_run(folder.data, number, events=1, size_bytes=1000)
    processes = [folder.start() for _ in range(2)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    folder.stage()
    assert {row.state for row in folder.rows(Replica)} == {State.CATALOGUED}
    assert tape.calls("put") == len(list(folder.data.glob("run*")))


def test_two_stagers_with_one_mariadb(
    folder: Folder, mariadb: MariaDb, tape: Tape, second: Path
) -> None:
    """Its rows are locked one by one: who meets a deadlock begins again."""
    configure_places(folder, tape=tape.settings(), nas={"kind": "folder", "folder": str(second)})
    for number in range(1, 5):
        write_run(folder.data, number, events=1, size_bytes=1000)
    where = {"CYGNO_STAGER_CATALOG": mariadb.url(mariadb.new_database())}
    processes = [folder.start(**where) for _ in range(2)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert complaints(folder.stage(**where)) == []
    assert folder.stage(**where).outcomes == []
    names = {path.name for path in folder.data.glob("run*")}
    assert set(folder.objects()) == set(tape.objects()) == names
    assert {p.name for p in (second / folder.tag).iterdir()} == names
    assert tape.calls("put") == len(names)


def test_places_of_another_folder_are_apart(s3: S3Server, tmp_path: Path) -> None:
    folder = make_folder(s3, tmp_path / "other")
    assert [place.name for place in folder.configuration().places] == ["cloud"]


def test_a_thousand_runs_that_are_staged_cost_few_questions(folder: Folder) -> None:
    """A look at the folder asks the catalog as often for 1,000 runs as for one."""
    catalog = Catalog(folder.configuration().catalog_url)
    with catalog.write() as session:
        for number in range(1, 1001):
            path = folder.data / f"run{number:05d}.mid"
            path.touch()
            moment = now()
            session.add(Run(run_number=number, tag="T", created_at=moment, updated_at=moment))
            file = File(
                run_number=number,
                kind="raw",
                path=str(path),
                name=path.name,
                size_bytes=0,
                mtime_ns=path.stat().st_mtime_ns,
                state=State.CATALOGUED,
                sha256="0" * 64,
                discovered_at=moment,
                updated_at=moment,
            )
            replica = Replica(place="cloud", kind="s3", object_key=path.name, checksum="0")
            replica.state, replica.updated_at = State.CATALOGUED, moment
            file.replicas.append(replica)
            session.add(file)
    catalog.close()
    statements = []

    def count(*arguments: object) -> None:
        statements.append(arguments[2])

    event.listen(Engine, "before_cursor_execute", count)
    try:
        assert folder.stage().outcomes == []
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert len(statements) < 40, statements
