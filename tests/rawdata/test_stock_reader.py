"""Oracle: MIDAS's own pure-Python reader reads what we write, and sees the same."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import pytest

from rawdata.build import EventBuilder
from rawdata.compressors import COMPRESSORS
from rawdata.event import BankFormat, parse_event
from rawdata.layouts import camera
from rawdata.recode import shrink_event
from rawdata.runfile import RunFile
from rawdata.runwriter import RunWriter
from rawdata.tid import Tid
from rawdata.transcode import transcode_file


@pytest.fixture
def stock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``midas.file_reader``, installed or of the MIDAS at MIDASSYS."""
    if "MIDASSYS" in os.environ:
        monkeypatch.syspath_prepend(Path(os.environ["MIDASSYS"]) / "python")
    pytest.importorskip(
        "midas.event", reason="MIDAS's Python package is not here; set MIDASSYS to its folder"
    )
    import midas.file_reader

    return midas.file_reader


def _same(theirs: Any, ours: Any) -> None:
    header = theirs.header
    assert (
        header.event_id,
        header.trigger_mask,
        header.serial_number,
        header.timestamp,
        header.event_data_size_bytes,
    ) == (ours.event_id, ours.trigger_mask, ours.serial_number, ours.timestamp, ours.data_size)
    if ours.is_odb_dump:
        assert theirs.non_bank_data == ours.raw[16:]
        return
    assert list(theirs.banks) == list(ours)
    for name, bank in theirs.banks.items():
        assert bank.type == ours.banks[name].tid
        assert bank.size_bytes == ours.banks[name].size_bytes
        assert np.array_equal(np.asarray(bank.data), ours[name])


@pytest.mark.parametrize("compress", [name for name in COMPRESSORS if name != "zstd"])
def test_stock_midas_reads_what_we_write(stock: Any, tmp_path: Path, compress: str) -> None:
    random = np.random.default_rng(1)
    builder = EventBuilder(np.empty(1 << 16, np.uint8), 1)
    start = builder.mark
    with RunWriter(tmp_path / "run00042.mid", compress) as writer:
        writer.write_odb_dump(42, {"Configurations": {"Exposure": 0.3, "MaxEvents": -1}})
        for serial in range(10):
            builder.rewind(start)
            pixels = random.integers(0, 65536, 900 + serial, np.uint16)
            builder.add("CAM0", Tid.WORD, pixels)
            builder.add("FID0", Tid.DWORD, [serial])
            builder.add("TCAM", Tid.DOUBLE, [-18.5])
            writer.write(builder.finish(serial, 1_700_000_000 + serial))
        writer.write_odb_dump(42, {"Runinfo": {"State": 1}}, begin=False)
    midas_file = stock.MidasFile(str(writer.path), use_numpy=True)
    theirs = list(midas_file)
    ours = list(RunFile(writer.path))
    assert len(theirs) == len(ours) == 12
    for their, our in zip(theirs, ours, strict=True):
        _same(their, our)
    odb = midas_file.get_bor_odb_dump().data
    assert odb["Configurations"]["Exposure"] == 0.3
    assert odb["Configurations"]["Exposure/key"]["type"] == 10
    midas_file.file.close()


@pytest.mark.parametrize("form", list(BankFormat))
def test_stock_midas_reads_each_bank_format(stock: Any, form: BankFormat) -> None:
    builder = EventBuilder(np.empty(1 << 12, np.uint8), 5, form)
    values = {
        "BYTE": (Tid.BYTE, [1, 255]),
        "SBYT": (Tid.SBYTE, [-1]),
        "WORD": (Tid.WORD, [1, 2, 65535]),
        "SHOR": (Tid.SHORT, [-2]),
        "DWRD": (Tid.DWORD, [2**32 - 1]),
        "INT0": (Tid.INT, [-3]),
        "BOOL": (Tid.BOOL, [1, 0]),
        "FLOA": (Tid.FLOAT, [0.5]),
        "DOUB": (Tid.DOUBLE, [0.1, 0.2]),
    }
    for name, (tid, content) in values.items():
        builder.add(name, tid, content)
    raw = bytes(builder.finish(7, 1_700_000_000))
    theirs = sys.modules["midas.event"].Event()
    theirs.unpack(raw)
    _same(theirs, parse_event(raw))


def test_stock_midas_reads_recorded_files_as_we_do(stock: Any, data: Path) -> None:
    for name in ("run01104.mid", "run01105.mid.bz2"):
        midas_file = stock.MidasFile(str(data / name), use_numpy=True)
        theirs = list(midas_file)
        for their, our in zip(theirs, RunFile(data / name), strict=True):
            _same(their, our)
        plain = RunFile(data / name).odb_begin
        assert plain is not None
        stripped = _without_keys(midas_file.get_bor_odb_dump().data)
        assert stripped["Configurations"] == plain["Configurations"]
        json.dumps(plain)
        midas_file.file.close()


def _without_keys(directory: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_keys(value) if isinstance(value, dict) else value
        for name, value in directory.items()
        if not name.endswith("/key")
    }


def test_compressed_frames_can_be_read_with_stock_midas_and_blosc2(
    stock: Any, data: Path, tmp_path: Path
) -> None:
    """As the how-to shows; stock MIDAS keeps the NUL that ends a short bank name."""
    small = transcode_file(data / "run01104.mid", tmp_path, shrink_event).output
    with RunFile(data / "run01104.mid") as run:
        frames = [camera.decode_frame(event) for event in run if "CAM0" in event]
    theirs = [
        bytes(event.banks["CZ0\0"].data)
        for event in stock.MidasFile(str(small), use_numpy=True)
        if event.header.event_id == 1
    ]
    assert len(theirs) == len(frames) == 4
    for bank, frame in zip(theirs, frames, strict=True):
        assert blosc2.decompress2(bank[32:]) == frame.tobytes()
