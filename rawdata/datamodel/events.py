"""Events and banks. Sources: CYGNUS-RD/daq ``online/{cygnus_fe.cxx,scfe.cxx,gem_hv.cxx}``."""

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from rawdata.event import BEGIN_OF_RUN, END_OF_RUN, MESSAGE
from rawdata.tid import Tid

TRIGGER_EVENT_ID: Final = 1
"""Events of equipment Trigger: CYGNO's one frontend for cameras and digitizers."""
FIRST_INDEXED_EVENT_ID: Final = 100
"""Events of equipment Trigger00; that of index i has 100 + i."""
FIRST_INDEXED_STATUS_ID: Final = 200
"""Events of equipment CameraStatus00; that of index i has 200 + i."""
PREVIEW_EVENT_ID: Final = 10
"""Events of equipment Preview."""
FIRST_INDEXED_PREVIEW_ID: Final = 300
"""Events of equipment Preview00; that of index i has 300 + i."""
MAX_INDEX: Final = 99


def trigger_event_id(index: int | None = None) -> int:
    """Return the id of the events that the trigger frontend of an index sends.

    >>> trigger_event_id(), trigger_event_id(2)
    (1, 102)

    :param index: of the frontend, 0 to 99; None where there is one frontend alone.
    :raises ValueError: if there is no such index.
    """
    if index is None:
        return TRIGGER_EVENT_ID
    if not 0 <= index <= MAX_INDEX:
        raise ValueError(f"the index of a frontend is {index}; allowed: 0 to {MAX_INDEX}")
    return FIRST_INDEXED_EVENT_ID + index


def preview_event_id(index: int | None = None) -> int:
    """Return the id of the previews that the trigger frontend of an index sends.

    >>> preview_event_id(), preview_event_id(2)
    (10, 302)

    :param index: of the frontend, 0 to 99; None where there is one frontend alone.
    """
    return PREVIEW_EVENT_ID if index is None else FIRST_INDEXED_PREVIEW_ID + index


def is_trigger_event(event_id: int) -> bool:
    """Tell whether events of this id hold frames and waveforms.

    >>> [is_trigger_event(number) for number in (1, 3, 100, 199, 200)]
    [True, False, True, True, False]
    """
    return event_id == TRIGGER_EVENT_ID or 0 <= event_id - FIRST_INDEXED_EVENT_ID <= MAX_INDEX


def is_trigger_equipment(name: str) -> bool:
    """Tell whether an equipment of this name sends such events.

    >>> [is_trigger_equipment(name) for name in ("Trigger", "Trigger02", "TriggerModule")]
    [True, True, False]
    """
    index = name.removeprefix("Trigger")
    return name == "Trigger" or (index != name and len(index) == 2 and index.isdecimal())


class EventFlag(IntFlag):
    """What the trigger mask of a Trigger event says; 0 in a good event, as in CYGNO's."""

    INCOMPLETE = 1
    FRAMES_LOST_BEFORE = 2
    TRIGGERS_LOST = 4


TRIGGER_MASK: Final = (
    (
        EventFlag.INCOMPLETE,
        "A camera or a board did not answer in time: its part is missing or may be",
    ),
    (
        EventFlag.FRAMES_LOST_BEFORE,
        "Frames are missing between this event and the one before; FID<i> tells how many",
    ),
    (
        EventFlag.TRIGGERS_LOST,
        "Triggers of this frame were lost: more than one event holds, or no memory for them",
    ),
)
"""Bits of the trigger mask, and their meaning."""


@dataclass(frozen=True)
class EventKind:
    """Events of one id, or of several in a row."""

    event_id: int
    equipment: str
    """Name of the ODB's ``/Equipment`` entry; empty for MIDAS's own events."""
    when: str
    banks: tuple[str, ...]
    """Names of its banks, in their order; ``<i>`` is a camera's number."""
    note: str = ""
    last_id: int | None = None
    """The last of several ids."""


@dataclass(frozen=True)
class BankKind:
    """Banks of one name."""

    name: str
    tid: Tid
    content: str
    """Shape and meaning of the elements."""
    unit: str = ""
    generations: str = "all"
    """Of CYGNO's event layouts A, B, C."""


EVENTS: Final = (
    EventKind(
        TRIGGER_EVENT_ID,
        "Trigger",
        "every kept frame",
        ("TIME", "CAM<i>", "CZ<i>", "FID<i>", "TSP<i>", "DIG0", "DGH0"),
        "BANK32. CZ<i> instead of CAM<i> where frames are compressed and the frame became smaller. "
        "TIME in the first event of generations B and C only; DIG0 and DGH0 not in free-running "
        "mode. The header's time is unix seconds (A) or milliseconds since TIME "
        "(B, C). Serial numbers start at 0 in each run, without gap. Readers find banks by name.",
    ),
    EventKind(
        FIRST_INDEXED_EVENT_ID,
        "Trigger00 to Trigger99",
        "every kept frame",
        ("TIME", "CAM<i>", "CZ<i>", "FID<i>", "TSP<i>", "DIG0", "DGH0"),
        "As Trigger, of one of several frontends, each with cameras of its own (`-i INDEX`); each "
        "counts its own serial numbers.",
        last_id=FIRST_INDEXED_EVENT_ID + MAX_INDEX,
    ),
    EventKind(
        3, "HV", "periodic", ("DMND", "MSRD", "CRNT", "STAT", "TPTR"), "GEM and PMT crate; BANK."
    ),
    EventKind(
        4,
        "CATHODE",
        "every 60 s",
        ("DMND", "MSRD", "CRNT", "STAT", "TPTR"),
        "Cathode supply, one channel; read only.",
    ),
    EventKind(5, "Environment", "periodic", ("INPT",), "BANK."),
    EventKind(6, "GasSystem", "every 60 s", ("DMND", "MSRD"), "Gas controller; read only."),
    EventKind(7, "CameraStatus", "every 10 s of a run", ("TCAM",), "BANK."),
    EventKind(
        FIRST_INDEXED_STATUS_ID,
        "CameraStatus00 to CameraStatus99",
        "every 10 s of a run",
        ("TCAM",),
        "As CameraStatus, of the trigger frontend of that index.",
        last_id=FIRST_INDEXED_STATUS_ID + MAX_INDEX,
    ),
    EventKind(8, "TriggerModule", "every 10 s", ("TMOD",), "Trigger scalers."),
    EventKind(
        9,
        "SourceMotor",
        "every 60 s",
        ("INPT",),
        "12 positions: also named INPT, so readers must look at the event id.",
    ),
    EventKind(
        PREVIEW_EVENT_ID,
        "Preview",
        "/Equipment/Trigger/Settings/Preview rate Hz",
        ("PVH0", "PVI<i>", "PVS<i>", "PVD0", "PVW0"),
        "BANK32, in buffer PREVIEW, not in run files. PVD0 and PVW0 only if the event shown has a "
        "trigger.",
    ),
    EventKind(
        FIRST_INDEXED_PREVIEW_ID,
        "Preview00 to Preview99",
        "/Equipment/Trigger<nn>/Settings/Preview rate Hz",
        ("PVH0", "PVI<i>", "PVS<i>", "PVD0", "PVW0"),
        "As Preview, of the trigger frontend of that index.",
        last_id=FIRST_INDEXED_PREVIEW_ID + MAX_INDEX,
    ),
    EventKind(
        BEGIN_OF_RUN,
        "",
        "first event of a run",
        (),
        "ODB dump, JSON text without final newline or NUL; serial number = run number, trigger "
        "mask 0x494d ('MI'), no banks.",
    ),
    EventKind(END_OF_RUN, "", "last event of a run", (), "As 0x8000."),
    EventKind(MESSAGE, "", "any time", (), "A message of the experiment; text."),
)

BANKS: Final = (
    BankKind(
        "CAM<i>",
        Tid.WORD,
        "[rows * columns] pixels, row-major, i = 0 to 5. The shape is not in the bank: square up "
        "to 1.1 times a Fusion frame (2304x2304), else Quest (2304 rows, 4096 columns)",
        "ADU",
    ),
    BankKind(
        "CZ<i>",
        Tid.BYTE,
        "[n] the pixels of CAM<i>, losslessly compressed; the name's fourth byte is NUL. Header of "
        "32 bytes: `CYCZ`, u16 version (1), u16 codec (1 dense: Blosc2 chunk of uint16, byte "
        "shuffle and zstd; 2 fast: packed bits, see fast-frames.md), u32 rows, u32 columns, u32 "
        "bytes of the pixels, u32 bytes of the chunk, u32 CRC32C of the pixels, u32 CRC32C of the "
        "28 bytes before and the chunk; then the chunk",
        "ADU",
    ),
    BankKind("FID<i>", Tid.DWORD, "[1] the camera's cumulative frame count; gaps are lost frames"),
    BankKind("TSP<i>", Tid.DWORD, "[2] time of the frame: seconds, microseconds", "s, us"),
    BankKind("TIME", Tid.DWORD, "[1] unix time of the run's first frame", "s", "B, C"),
    BankKind(
        "DIG0",
        Tid.WORD,
        "[sum over boards of triggers * channels * samples] waveforms; nested board, trigger, "
        "channel, sample",
        "ADC counts",
    ),
    BankKind(
        "DGH0",
        Tid.DWORD,
        "[n] header of DIG0: (C: 1000,) number of boards, then per board: model, samples, "
        "channels, triggers, resolution (4096), sampling (V1742: ps, else MS/s), DC offset of "
        "each channel (fraction * 65536 + 32768), time tag of each trigger, (B, C: upper time tag "
        "of each trigger,) (V1742: start cell of each trigger)",
    ),
    BankKind(
        "INPT",
        Tid.FLOAT,
        "[24 or 27] inputs, named by /Equipment/Environment/Settings/Names Input; "
        "[12] in events of SourceMotor",
        "mA or V",
    ),
    BankKind("TCAM", Tid.DOUBLE, "[cameras] sensor temperature", "degrees Celsius"),
    BankKind("TMOD", Tid.FLOAT, "[5] rates of the trigger module", "Hz"),
    BankKind("DMND", Tid.FLOAT, "[channels] demanded voltage, in the order of Settings/Names", "V"),
    BankKind("MSRD", Tid.FLOAT, "[channels] measured voltage", "V"),
    BankKind("CRNT", Tid.FLOAT, "[channels] current", "uA"),
    BankKind("STAT", Tid.DWORD, "[channels] channel status word"),
    BankKind("TPTR", Tid.FLOAT, "[channels] temperature", "degrees Celsius"),
    BankKind(
        "PVH0",
        Tid.DWORD,
        "[6] version (1), run, then of the event that is shown its id, serial number and time; "
        "number of images",
    ),
    BankKind(
        "PVI<i>",
        Tid.BYTE,
        "[rows * columns] means over factor x factor pixels of CAM<i>, at most 576 columns; 0 is "
        "`low` ADU and less, 255 `high` ADU and more, linear between",
    ),
    BankKind(
        "PVS<i>",
        Tid.DOUBLE,
        "[6] rows and columns of PVI<i>, factor, low, high (percentiles 1 and 99.9), FID<i>",
        "-, -, -, ADU, ADU, -",
    ),
    BankKind(
        "PVD0",
        Tid.DWORD,
        "[4 * waveforms] of each: board, channel, points, samples that a point stands for",
    ),
    BankKind(
        "PVW0",
        Tid.WORD,
        "[points of all waveforms] first trigger of each board, first 4 channels; of several "
        "samples the one farthest from the waveform's median",
        "ADC counts",
    ),
)
