"""``cygno-rawdata expand``, ``shrink`` and ``check`` on files with compressed frames."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rawdata.checksum import crc32c, read_sidecar
from rawdata.compression import uncompressed_chunks
from rawdata.recode import expand_event, shrink_event
from rawdata.runfile import RunFile, RunFileError
from rawdata.runwriter import RunWriteError
from rawdata.transcode import TranscodeError, transcode_file
from tests.rawdata.bytes_of import dump_bytes, event_bytes
from tests.rawdata.test_codec import noise


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A run of two cameras, one of which has a frame that does not shrink."""
    random = np.random.default_rng(1).integers(0, 65536, (64, 64), np.uint16)
    path = tmp_path / "run00042.mid"
    path.write_bytes(
        dump_bytes(text=b'{ "Odd" : "text" }')
        + event_bytes((b"CAM0", 4, noise(64, 64).tobytes()), (b"FID0", 6, b"\7\0\0\0"))
        + event_bytes((b"INPT", 9, bytes(28)), event_id=5)
        + event_bytes(
            (b"CAM0", 4, random.tobytes()), (b"CAM1", 4, noise(80, 80).tobytes()), serial=1
        )
        + dump_bytes(begin=False)
    )
    return path


@pytest.fixture
def shrunk(plain: Path, tmp_path: Path) -> Path:
    """The same run with compressed frames."""
    return transcode_file(plain, tmp_path / "small", shrink_event).output


def stream(path: Path) -> bytes:
    """The uncompressed bytes of a file."""
    with RunFile(path) as run:
        compression = run.compression
    return path.read_bytes() if compression == "none" else b"".join(uncompressed_chunks(path))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# there and back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run01104.mid", "run01105.mid.bz2"])
def test_recorded_runs_come_back_byte_for_byte(data: Path, tmp_path: Path, name: str) -> None:
    small = transcode_file(data / name, tmp_path / "small", shrink_event)
    assert (small.frames, small.frames_kept, small.events, small.complete) == (4, 0, 7, True)
    assert small.output.name == name
    assert small.bytes_after < 0.5 * small.bytes_before
    back = transcode_file(small.output, tmp_path / "back", expand_event)
    assert (back.frames, back.events, back.run_number) == (4, 7, small.run_number)
    assert stream(back.output) == stream(data / name)
    logged = read_sidecar(data / f"run{small.run_number:05d}.mid.crc32c")
    assert logged is not None and back.crc32c == f"{logged.crc32c:08x}"


def test_all_recorded_runs_come_back_byte_for_byte(recorded: Path, tmp_path: Path) -> None:
    for name in ("run01101.mid.gz", "run01102.mid.lz4", "run01103.mid.gz"):
        small = transcode_file(recorded / name, tmp_path / "small", shrink_event, "zstd")
        back = transcode_file(small.output, tmp_path / "back", expand_event, "none")
        logged = read_sidecar(recorded / f"run{small.run_number:05d}.mid.crc32c")
        assert logged is not None
        assert (back.crc32c, back.bytes_after) == (f"{logged.crc32c:08x}", logged.size_bytes)


def test_all_but_the_frames_stays(plain: Path, shrunk: Path) -> None:
    with RunFile(plain) as before, RunFile(shrunk) as after:
        assert [list(event) for event in after] == [
            [],
            ["CZ0", "FID0"],
            ["INPT"],
            ["CAM0", "CZ1"],
            [],
        ]
        for old, new in zip(before, after, strict=True):
            assert old.raw[:12] == new.raw[:12]
            if not any(name.startswith("CZ") for name in new):
                assert old.raw == new.raw


@pytest.mark.parametrize("compress", ["none", "gzip", "lz4", "bzip2", "zstd"])
def test_new_files_are_compressed_as_asked_and_have_sidecars(
    shrunk: Path, plain: Path, tmp_path: Path, compress: str, run: Any
) -> None:
    status, out, _ = run(
        "expand", shrunk, "-o", tmp_path / "back", "--compress", compress, "--json"
    )
    assert status == 0
    result = json.loads(out)
    output = Path(result["output"])
    assert stream(output) == plain.read_bytes()
    assert result["compression"] == compress
    assert result["crc32c"] == f"{crc32c(plain.read_bytes()):08x}"
    assert result["file_bytes_after"] == output.stat().st_size
    status, out, err = run("check", output)
    assert (status, err) == (0, "")
    assert out.count("agrees with") == (2 if compress in ("lz4", "zstd") else 1)


def test_a_file_with_nothing_to_do_is_copied(plain: Path, tmp_path: Path) -> None:
    result = transcode_file(plain, tmp_path / "same", expand_event)
    assert (result.frames, result.frames_kept) == (0, 0)
    assert result.output.read_bytes() == plain.read_bytes()


# the commands -------------------------------------------------------------------------------------


def test_frames_of_other_shapes_need_their_columns(run: Any, plain: Path, tmp_path: Path) -> None:
    plain.write_bytes(event_bytes((b"CAM0", 4, noise(60, 96).tobytes())))
    assert json.loads(run("shrink", plain, "--json")[1])["frames"] == 0
    result = json.loads(run("shrink", plain, "--columns", 96, "-o", tmp_path / "new", "--json")[1])
    assert (result["frames"], result["frames_kept"]) == (1, 0)


def test_the_fast_method_is_there_for_all_commands(run: Any, plain: Path, tmp_path: Path) -> None:
    status, out, _ = run("shrink", plain, "--method", "fast", "-o", tmp_path / "fast", "--json")
    assert status == 0
    output = Path(json.loads(out)["output"])
    assert "CRC32C of compressed frames: 2 of 2 agree" in run("check", output)[1]
    assert "(fast)" in run("dump", output)[1]
    back = json.loads(run("expand", output, "-o", tmp_path / "back", "--json")[1])["output"]
    assert Path(back).read_bytes() == plain.read_bytes()
    assert run("shrink", plain, "--method", "thin", "-o", tmp_path / "thin")[0] == 2


def test_files_go_beside_the_old_ones_if_nothing_is_said(
    run: Any, plain: Path, tmp_path: Path
) -> None:
    status, out, err = run("shrink", plain)
    assert (status, err) == (0, "")
    output = tmp_path / "shrunk" / plain.name
    assert f"{plain} -> {output}: 5 events, 2 frames shrunk, 1 frames kept as they were" in out
    status, out, _ = run("expand", output)
    assert status == 0 and "5 events, 2 frames expanded, 0.0 -> 0.0 MB" in out
    back = output.parent / "expanded" / plain.name
    assert back.read_bytes() == plain.read_bytes()


def test_json_has_one_line_for_each_file_and_sidecars_are_passed_over(
    run: Any, data: Path, tmp_path: Path
) -> None:
    files = sorted(data.glob("run*.mid*"))
    assert len(files) == 4
    status, out, err = run("shrink", *files, "-o", tmp_path, "--json")
    assert (status, err) == (0, "")
    first, second = map(json.loads, out.splitlines())
    assert (first["run_number"], second["run_number"]) == (1104, 1105)
    assert first["frames"] == 4 and first["bytes_before"] == 2868789
    assert names(tmp_path) == {
        "run01104.mid",
        "run01104.mid.crc32c",
        "run01105.mid.bz2",
        "run01105.mid.crc32c",
    }
    assert run("shrink", data / "run01104.mid.crc32c")[0] == 2


def test_one_bad_file_does_not_keep_the_others_from_their_turn(
    run: Any, shrunk: Path, tmp_path: Path
) -> None:
    missing = tmp_path / "no.mid"
    status, out, err = run("expand", missing, shrunk, "-o", tmp_path / "back", "--json")
    assert status == 1
    assert err == f"cygno-rawdata: {missing}: cannot be opened: No such file or directory\n"
    bad, good = map(json.loads, out.splitlines())
    assert bad == {"source": str(missing), "error": err[15:-1]}
    assert good["frames"] == 2


def test_misuse_is_status_2(run: Any, plain: Path) -> None:
    assert run("expand")[0] == 2
    assert run("shrink", plain, "--compress", "rar")[0] == 2


def test_help_has_examples(run: Any) -> None:
    for name in ("expand", "shrink"):
        status, out, _ = run(name, "--help")
        assert status == 0 and f"cygno-rawdata {name} " in out and "Examples" in out


def test_a_run_that_did_not_end_is_rewritten_and_told(run: Any, plain: Path) -> None:
    plain.write_bytes(plain.read_bytes()[: -len(dump_bytes())])
    status, out, err = run("shrink", plain, "--json")
    assert status == 0 and json.loads(out)["complete"] is False
    status, _, err = run("expand", json.loads(out)["output"])
    assert status == 0 and "there is no end-of-run dump" in err


# nothing is overwritten, nothing half done is left -----------------------------------------------


@pytest.mark.parametrize("name", ["run00042.mid.lz4", "run00042.mid.crc32c"])
def test_no_file_is_overwritten(run: Any, plain: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / name).write_text("mine")
    status, out, err = run("shrink", plain, "-o", folder, "--compress", "lz4")
    assert (status, out) == (1, "")
    assert f"{folder / name}: exists already and is not overwritten" in err
    assert names(folder) == {name} and (folder / name).read_text() == "mine"


def test_the_old_file_is_not_overwritten(run: Any, plain: Path, tmp_path: Path) -> None:
    before = plain.read_bytes()
    assert run("shrink", plain, "-o", tmp_path)[0] == 1
    assert plain.read_bytes() == before and names(tmp_path) == {plain.name}


@pytest.mark.parametrize("has_hard_links", [True, False])
def test_a_file_that_comes_into_being_meanwhile_is_not_overwritten(
    plain: Path, tmp_path: Path, has_hard_links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link
    theirs = tmp_path / "new" / plain.name

    def link_after_another(source: Path, target: Path) -> None:
        theirs.write_text("theirs")
        if not has_hard_links:
            raise OSError(errno.EPERM, "no hard links")
        link(source, target)

    monkeypatch.setattr(os, "link", link_after_another)
    with pytest.raises(TranscodeError, match="exists already"):
        transcode_file(plain, theirs.parent, shrink_event)
    assert names(theirs.parent) == {plain.name} and theirs.read_text() == "theirs"


def test_a_file_system_without_hard_links_will_do(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "no hard links")

    monkeypatch.setattr(os, "link", refuse)
    result = transcode_file(plain, tmp_path / "new", shrink_event)
    assert names(tmp_path / "new") == {plain.name, plain.name + ".crc32c"}
    assert result.output.stat().st_size == result.file_bytes_after


@pytest.mark.parametrize("damage", ["frame", "file"])
def test_a_damaged_file_leaves_nothing_behind(
    run: Any, shrunk: Path, tmp_path: Path, damage: str
) -> None:
    content = bytearray(shrunk.read_bytes())
    with RunFile(shrunk) as whole:
        bank = whole[3].banks["CZ1"]
        start = sum(len(event.raw) for event in whole[:3])
    content[start + bank.offset + 700] ^= 1
    shrunk.write_bytes(content if damage == "frame" else shrunk.read_bytes()[:-3])
    status, _, err = run("expand", shrunk, "-o", tmp_path / "back")
    assert status == 1
    if damage == "frame":
        assert f"{shrunk}: index 3: event 1 (id 1), bank CZ1: CRC32C of the compressed" in err
    else:
        assert f"{shrunk}: damaged at byte" in err
    assert names(tmp_path / "back") == set()


def test_a_file_that_differs_from_its_sidecar_is_not_rewritten(plain: Path, tmp_path: Path) -> None:
    """Else damage outside of frames would get a right checksum."""
    plain.with_name("run00042.mid.crc32c").write_text("00000000 1 /data/run00042.mid\n")
    with pytest.raises(TranscodeError, match=r"run00042.mid.crc32c says 00000000 of 1 bytes"):
        transcode_file(plain, tmp_path / "new", shrink_event)
    assert names(tmp_path / "new") == set()


def test_a_full_disk_leaves_nothing_behind(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int, data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(RunWriteError, match="No space left on device"):
        transcode_file(plain, tmp_path / "new", shrink_event)
    assert names(tmp_path / "new") == set()


def test_what_reads_back_otherwise_gets_no_name(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the disk had failed: the bytes written differ from those handed over."""
    write = os.write

    def write_another(file: int, data: Any) -> int:
        return write(file, bytes(data).replace(b"Odd", b"odd"))

    monkeypatch.setattr(os, "write", write_another)
    with pytest.raises(TranscodeError, match="reads back with CRC32C"):
        transcode_file(plain, tmp_path / "new", shrink_event)
    assert names(tmp_path / "new") == set()


def test_a_folder_that_cannot_be_made_is_one_line(run: Any, plain: Path) -> None:
    status, _, err = run("shrink", plain, "-o", plain / "below")
    assert status == 1 and err.count("\n") == 1 and str(plain / "below") in err


# check -------------------------------------------------------------------------------------------


def test_check_counts_compressed_frames(run: Any, shrunk: Path) -> None:
    status, out, err = run("check", shrunk)
    assert (status, err) == (0, "")
    assert "CRC32C of compressed frames: 2 of 2 agree" in out
    assert "CZ0 (1)" in out and "CZ1 (1)" in out
    report = json.loads(run("check", "--json", shrunk)[1])
    assert (report["compressed_frames"], report["damaged_frames"]) == (2, 0)


def test_check_names_damaged_frames(run: Any, shrunk: Path) -> None:
    content = bytearray(shrunk.read_bytes())
    with RunFile(shrunk) as whole:
        offset = len(whole[0].raw) + whole[1].banks["CZ0"].offset
    content[offset + 100] ^= 0x10
    shrunk.write_bytes(content)
    shrunk.with_name(shrunk.name + ".crc32c").unlink()
    status, out, err = run("check", shrunk)
    assert status == 1
    assert "CRC32C of compressed frames: 1 of 2 agree" in out
    assert f"{shrunk}: index 1: event 0 (id 1), bank CZ0: CRC32C" in err
    report = json.loads(run("check", "--json", shrunk)[1])
    assert (report["compressed_frames"], report["damaged_frames"]) == (2, 1)
    assert len(report["problems"]) == 1


def test_info_and_dump_know_compressed_frames(run: Any, data: Path, tmp_path: Path) -> None:
    small = transcode_file(data / "run01104.mid", tmp_path, shrink_event).output
    assert json.loads(run("info", small, "--json")[1])["camera_shape"] == [512, 512]
    status, out, _ = run("dump", small, "--event", 1)
    assert status == 0 and "512x512 pixels" in out and "compressed 4." in out


def test_errors_of_reading_are_those_of_run_files(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="cannot be opened"):
        transcode_file(tmp_path / "no.mid", tmp_path / "new", expand_event)
    assert not (tmp_path / "new").exists()
