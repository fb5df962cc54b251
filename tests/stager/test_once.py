"""A run that lies in the folder is in S3 and in the catalog afterwards, provably."""

import base64
import hashlib
import json
from pathlib import Path

from rawdata.checksum import crc32c
from stager.catalog import Catalog
from stager.models import Runlog, State
from tests.stager.staging import Folder, crc_of


def test_recorded_runs_reach_s3_and_the_catalog(folder: Folder, data: Path) -> None:
    for name in ("run01104.mid", "run01104.mid.crc32c", "run01105.mid.bz2", "run01105.mid.crc32c"):
        folder.add(data / name)
    result = folder.stage()
    assert [outcome.state for outcome in result.outcomes] == [State.CATALOGUED] * 4
    assert folder.objects() == {path.name: path.stat().st_size for path in folder.data.iterdir()}
    for path in folder.data.iterdir():
        assert folder.content(path.name) == path.read_bytes()


def test_the_servers_checksum_is_the_files(folder: Folder, data: Path) -> None:
    path = folder.add(data / "run01104.mid")
    outcome = folder.stage().outcomes[0]
    reply = folder.client().head_object(
        Bucket=folder.bucket, Key=outcome.object_key, ChecksumMode="ENABLED"
    )
    assert base64.b64decode(reply["ChecksumCRC32C"]).hex() == crc_of(path)
    assert outcome.checksum_server == outcome.crc32c == crc_of(path)
    assert reply["Metadata"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert outcome.object_bytes == reply["ContentLength"] == path.stat().st_size


def test_a_second_pass_finds_nothing_to_do(folder: Folder, data: Path) -> None:
    folder.add(data / "run01104.mid")
    folder.stage()
    before = folder.replica("run01104.mid").verified_at
    assert folder.stage().outcomes == []
    assert folder.replica("run01104.mid").verified_at == before


def test_runlog_has_what_the_runs_odb_dumps_say(folder: Folder, data: Path) -> None:
    path = folder.add(data / "run01104.mid")
    folder.stage()
    row = folder.runlog(1104)
    assert row.run_description == "S003:DATA:uncompressed"
    assert str(row.start_time) == "2026-11-22 07:42:18"
    assert str(row.stop_time) == "2026-11-22 07:42:18"
    assert (row.exposure_sec, row.number_of_events) == (0.3, 4.0)
    assert (row.trigger_veto_time, row.discrimination_threshold) == (10, 2)
    assert (row.pmt_acquisition, row.pedestal_run) == (True, False)
    assert row.GEM1_V is None
    assert (row.storage_local_status, row.storage_cloud_status, row.storage_tape_status) == (
        1,
        1,
        -1,
    )
    assert row.file_size == path.stat().st_size
    assert row.file_checksum == hashlib.md5(path.read_bytes()).hexdigest()
    assert row.file_s3_tag == folder.tag
    assert (row.total_gas_flow, row.online_reco_status) == (-1.0, -1)


def test_runs_files_and_replicas_have_proper_values(folder: Folder, data: Path) -> None:
    folder.add(data / "run01105.mid.bz2")
    folder.add(data / "run01105.mid.crc32c")
    folder.stage()
    run, file = folder.run(1105), folder.file("run01105.mid.bz2")
    replica = folder.replica("run01105.mid.bz2")
    assert (run.is_complete, run.events, run.trigger_events, run.note) == (True, 5, 4, None)
    assert run.start_time is not None and run.start_time.tzinfo is not None
    assert (file.kind, file.state, file.truncated) == ("raw", State.CATALOGUED, False)
    # The logger's sidecar is about the uncompressed stream: it was compared with that.
    assert file.checked_against == "run01105.mid.crc32c"
    assert (replica.state, replica.verified_by) == (State.CATALOGUED, "server checksum")
    assert (replica.owner, replica.upload_id, replica.tries) == (None, None, 0)


def test_all_kinds_of_files_of_a_run_belong_together(folder: Folder, data: Path) -> None:
    folder.add(data / "run01104.mid")
    (folder.data / "run01104.reco.h5").write_bytes(b"results")
    (folder.data / "run01104.json").write_text("{}")
    (folder.path / "truth").mkdir()
    (folder.path / "truth" / "run01104.truth.h5").write_bytes(b"truth")
    (folder.data / "notes.txt").write_text("not a run")
    result = folder.stage()
    assert {outcome.kind for outcome in result.outcomes} == {"raw", "reco", "odb", "truth"}
    assert {outcome.run for outcome in result.outcomes} == {1104}
    assert len(folder.objects()) == 4


def test_only_the_kinds_that_are_wanted_go_to_s3(folder: Folder, data: Path) -> None:
    folder.add(data / "run01104.mid")
    folder.add(data / "run01104.mid.crc32c")
    folder.stage(CYGNO_STAGER_KINDS="raw")
    assert list(folder.objects()) == ["run01104.mid"]
    assert folder.file("run01104.mid.crc32c").state == State.CATALOGUED


def test_a_row_that_the_logger_wrote_is_filled_not_replaced(folder: Folder, data: Path) -> None:
    catalog = Catalog(f"sqlite:///{folder.catalog_file}")
    with catalog.write() as session:
        session.add(Runlog(run_number=1104, run_description="as the shifter wrote it", GEM1_V=440))
    catalog.close()
    folder.add(data / "run01104.mid")
    folder.stage()
    row = folder.runlog(1104)
    assert (row.run_description, row.GEM1_V) == ("as the shifter wrote it", 440)
    assert (row.exposure_sec, row.storage_cloud_status) == (0.3, 1)


def test_an_empty_file_is_staged_as_truncated(folder: Folder) -> None:
    (folder.data / "run00007.mid").write_bytes(b"")
    result = folder.stage()
    assert [(o.state, o.truncated, o.events) for o in result.outcomes] == [
        (State.CATALOGUED, True, 0)
    ]
    assert folder.objects() == {"run00007.mid": 0}


def test_answers_are_plain_json(folder: Folder, data: Path) -> None:
    folder.add(data / "run01104.mid")
    assert folder.stage_in_process() == 0
    answer = folder.answer()
    assert (answer["staged"], answer["failed"], answer["waiting"]) == (1, 0, 0)
    assert answer["files"][0]["crc32c"] == f"{crc32c((data / 'run01104.mid').read_bytes()):08x}"
    assert json.dumps(answer)
