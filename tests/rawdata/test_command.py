"""The command ``cygno-rawdata``, as an operator or a script sees it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rawdata.check import check_file
from tests.rawdata.bytes_of import dump_bytes, event_bytes, run_bytes


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A file of our own, with a secret in its ODB."""
    text = b"""{ "SQL" : { "Password" : "hunter2", "Host" : "db" },
      "Configurations" : { "Exposure/key" : { "type" : 10 }, "Exposure" : 0.3 } }"""
    path = tmp_path / "run00042.mid"
    path.write_bytes(
        dump_bytes(text=text)
        + event_bytes((b"CAM0", 4, bytes(8)), (b"FID0", 6, b"\7\0\0\0"), serial=0)
        + event_bytes((b"CAM0", 4, bytes(6)), serial=3, time=1_700_000_005)
        + event_bytes((b"INPT", 9, bytes(28)), event_id=5)
        + dump_bytes(begin=False, text=text)
    )
    return path


# check --------------------------------------------------------------------------------------------


def test_check_says_whole(run: Any, data: Path) -> None:
    status, out, err = run("check", data / "run01104.mid", data / "run01105.mid.bz2")
    assert (status, err) == (0, "")
    assert out.count("whole") == 2
    assert "CRC32C of the data: f7231a62 of 2868789 bytes, agrees with run01104.mid.crc32c" in out


def test_check_counts_for_machines(run: Any, small: Path) -> None:
    status, out, _ = run("check", "--json", small, small)
    assert status == 0
    first, second = map(json.loads, out.splitlines())
    assert first == second
    assert first["whole"] and first["complete"] and first["run_number"] == 42
    assert first["compression"] == "none"
    assert first["file_bytes"] == first["bytes_uncompressed"] == small.stat().st_size
    assert first["events"]["1"] == {
        "events": 2,
        "bytes": 64 + 44,
        "first_time": 1_700_000_000,
        "last_time": 1_700_000_005,
        "missing": 2,
        "banks": {"CAM0": {"events": 2, "bytes": 14}, "FID0": {"events": 1, "bytes": 4}},
    }
    assert list(first["events"]) == ["1", "5", "32768", "32769"]
    assert first["damage"] is None and first["problems"] == [] and first["checksums"] == []


def test_check_names_damage_and_fails(run: Any, small: Path, data: Path) -> None:
    small.write_bytes(small.read_bytes()[:-1])
    status, out, err = run("check", small, data / "run01105.mid.bz2")
    assert status == 1
    assert "DAMAGED" in out and "whole" in out
    assert f"{small}: damaged at byte" in err and "event 4" in err
    assert run("check", "--json", small)[0] == 1
    damage = check_file(small).as_dict()["damage"]
    assert damage["event_index"] == 4 and "are left" in damage["reason"]


def test_check_notices_a_file_cut_between_two_events(run: Any, small: Path) -> None:
    small.write_bytes(run_bytes()[: -len(dump_bytes())])
    status, _out, err = run("check", small)
    assert status == 1
    assert "there is no end-of-run dump" in err
    report = json.loads(run("check", "--json", small)[1])
    assert not report["complete"] and report["damage"] is None and len(report["problems"]) == 1


def test_check_compares_the_stream_with_its_sidecar(run: Any, small: Path) -> None:
    sidecar = small.with_name("run00042.mid.crc32c")
    sidecar.write_text("00000000 1 /data/run00042.mid\n")
    status, _, err = run("check", small)
    assert status == 1
    assert "CRC32C of the uncompressed data is" in err
    assert "run00042.mid.crc32c says 00000000 of 1 bytes" in err
    sidecar.write_text("not a sidecar")
    status, _, err = run("check", small)
    assert status == 1
    assert "not a CRC32C sidecar of mlogger" in err


def test_check_compares_the_file_with_its_sidecar(run: Any, recorded: Path, tmp_path: Path) -> None:
    for name in ("run01102.mid.lz4", "run01102.mid.crc32c"):
        shutil.copyfile(recorded / name, tmp_path / name)
    path = tmp_path / "run01102.mid.lz4"
    (tmp_path / "run01102.mid.lz4.crc32c").write_text("0675dd0f 7517849 run01102.mid.lz4\n")
    status, out, err = run("check", path)
    assert status == 1
    assert "CRC32C of the file is 0675dd0e of 7517849 bytes" in err
    assert "CRC32C of the data: 33af0935 of 14500898 bytes, agrees" in out


def test_check_reads_the_dumps(run: Any, small: Path) -> None:
    small.write_bytes(dump_bytes(text=b"{ x }") + dump_bytes(begin=False))
    status, _, err = run("check", small)
    assert status == 1
    assert "dump at begin of run: the ODB dump is damaged" in err


def test_check_of_what_is_not_there(run: Any, tmp_path: Path) -> None:
    status, out, err = run("check", tmp_path / "no.mid")
    assert (status, out) == (1, "")
    assert err == f"{tmp_path / 'no.mid'}: cannot be opened: No such file or directory\n"


# dump ---------------------------------------------------------------------------------------------


def test_dump_lists_events(run: Any, small: Path) -> None:
    status, out, err = run("dump", small)
    lines = out.splitlines()
    assert (status, err, len(lines)) == (0, "", 5)
    assert "begin of run  serial 42" in lines[0]
    assert "id 1  serial 0" in lines[1]
    assert "CAM0 WORD[4] 2x2 pixels, mean 0.00, max 0 ADU; FID0 DWORD[1] 7" in lines[1]
    assert "CAM0 WORD[3] (a frame of 6 bytes is neither square" in lines[2]
    assert "INPT FLOAT[7] 0 0 0 0 0 0 ..." in lines[3]


def test_dump_of_one_event_and_bank(run: Any, data: Path) -> None:
    for name in ("run01104.mid", "run01105.mid.bz2"):
        status, out, _ = run("dump", data / name, "--event", 1)
        assert status == 0
        assert "size_bytes      654108" in out
        assert "DGH0            DWORD[56] generation A; 1742: 1 triggers x 32 channels" in out
        status, out, _ = run("dump", data / name, "--event", 1, "--bank", "DGH0", "--json")
        event = json.loads(out)
        assert event["banks"]["DGH0"]["values"][:4] == [2, 1742, 1024, 32]
    status, out, _ = run("dump", data / "run01104.mid", "--event", 1, "--bank", "DGH0")
    assert "1742" in out and "13107" in out


def test_dump_of_a_bank_lists_the_events_that_have_it(run: Any, small: Path) -> None:
    _status, out, _ = run("dump", small, "--bank", "FID0", "--json")
    (line,) = out.splitlines()
    assert json.loads(line)["index"] == 1
    assert json.loads(line)["banks"] == {"FID0": {"type": "DWORD", "count": 1, "size_bytes": 4}}


def test_dump_of_a_dump_masks_secrets(run: Any, small: Path) -> None:
    for arguments in (("--event", 0), ("--event", 0, "--json")):
        status, out, _ = run("dump", small, *arguments)
        assert status == 0 and "********" in out and "hunter2" not in out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--event", 5), "has events 0 to 4, not 5"),
        (("--event", 1, "--bank", "DIG0"), "event 1 has no bank DIG0; it has: CAM0 FID0"),
        (("--bank", "DIG0"), "no event has a bank DIG0"),
    ],
)
def test_dump_of_what_is_not_there(
    run: Any, small: Path, arguments: tuple[object, ...], reason: str
) -> None:
    status, _, err = run("dump", small, *arguments)
    assert status == 1
    assert err == f"cygno-rawdata: {small}: {reason}\n"


def test_dump_of_a_compressed_file_beyond_its_end(run: Any, data: Path) -> None:
    status, _, err = run("dump", data / "run01105.mid.bz2", "--event", 99)
    assert status == 1 and "has events 0 to 6, not 99" in err


def test_dump_shows_what_is_before_a_damage(run: Any, small: Path) -> None:
    small.write_bytes(small.read_bytes()[:-1])
    status, out, err = run("dump", small)
    assert status == 1
    assert len(out.splitlines()) == 4
    assert err.startswith("cygno-rawdata: ") and "damaged at byte" in err


# odb and info -------------------------------------------------------------------------------------


def test_odb_shows_a_key_a_folder_or_all(run: Any, small: Path) -> None:
    assert run("odb", small, "/configurations/exposure") == (0, "0.3\n", "")
    assert run("odb", small, "/SQL") == (
        0,
        '/SQL/Password = "********"\n/SQL/Host = "db"\n',
        "",
    )
    _status, out, _ = run("odb", small, "--json")
    assert json.loads(out) == {
        "SQL": {"Password": "********", "Host": "db"},
        "Configurations": {"Exposure": 0.3},
    }
    assert run("odb", small, "--end", "/SQL/Host") == (0, "db\n", "")


def test_odb_of_what_is_not_there(run: Any, small: Path, tmp_path: Path) -> None:
    status, _, err = run("odb", small, "/Configurations/Expo")
    assert status == 1
    assert "the ODB has no /Configurations/Expo; in /Configurations: Exposure" in err
    bare = tmp_path / "bare.mid"
    bare.write_bytes(event_bytes())
    assert "has no ODB dump at begin of run" in run("odb", bare)[2]
    assert "has no ODB dump at end of run" in run("odb", bare, "--end")[2]


def test_info(run: Any, data: Path) -> None:
    status, out, err = run("info", data / "run01104.mid", data / "run01105.mid.bz2")
    assert (status, err) == (0, "")
    assert "1104" in out and "512x512" in out and "0.3 s" in out
    status, out, _ = run("info", data / "run01104.mid", data / "run01105.mid.bz2", "--json")
    plain, compressed = map(json.loads, out.splitlines())
    assert plain["run_number"] == 1104 and plain["events"] == 7
    assert plain["camera_shape"] == [512, 512] and plain["exposure_s"] == 0.3
    assert plain["pedestal"] is False
    assert compressed["compression"] == "bzip2" and compressed["events"] is None


# all ----------------------------------------------------------------------------------------------


def test_misuse_is_status_2(run: Any) -> None:
    assert run("dump")[0] == 2
    assert run("check", "--nonsense")[0] == 2


def test_help_has_examples(run: Any) -> None:
    for name in ("check", "dump", "odb", "info"):
        status, out, _ = run(name, "--help")
        assert status == 0 and f"cygno-rawdata {name} " in out and "Example" in out


def test_the_command_runs_as_a_program(data: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rawdata.main", "odb", data / "run01104.mid", "/Runinfo/State"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
