"""Settings of the frontends: what an operator may set, with unit, bounds and meaning.

The keys under ``/Configurations`` are CYGNO's, as its LNGS experiment has them (ODB of run 42901,
December 2023); values of the default are those of that run.
"""

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from experiment.settings import Settings, setting, subtree
from rawdata import codec

Fraction = Annotated[float, Field(ge=-0.5, le=0.5)]
Percent = Annotated[int, Field(ge=0, le=100)]
Samples = Annotated[int, Field(ge=1, le=1_250_000)]
SamplingCode = Annotated[int, Field(ge=0, le=10)]

MAX_PREVIEW_RATE_HZ = 5.0


class TriggerState(Settings):
    """How the trigger electronics were set by hand; goes to the run log."""

    discrimination_threshold: int = setting(
        2, "discrimination_threshold", "Threshold of the discriminators.", unit="mV"
    )
    trigger_veto_time: int = setting(
        10, "trigger_veto_time", "Veto after each trigger.", unit="us", ge=0
    )
    trigger_logic: int = setting(0, "trigger_logic", "Code of the coincidence that triggers.")


class SourceState(Settings):
    """Which source stands where; goes to the run log."""

    source_type: int = setting(0, "source_type", "0 none, 1 55Fe.", ge=0)
    source_position: float = setting(
        0.0, "source_position", "Position of the source along the drift.", unit="cm"
    )


class CropSettings(Settings):
    """Which part of the sensor events hold, as CYGNO's generation C has it."""

    folder: ClassVar[str] = "CameraCropSettings"

    enable: bool = setting(
        False, "crop_enable", "Keep a square part of each frame; else frames are whole."
    )
    size: int = setting(
        2304, "crop_size", "Rows and columns that are kept.", unit="pixels", ge=1, le=65_536
    )
    origin_x: int = setting(
        -1,
        "crop_origin_x",
        "Columns x (from 0) with origin < x <= origin + size are kept; -1 begins with the first.",
        unit="pixels",
        ge=-1,
        le=65_536,
    )
    origin_y: int = setting(
        -1, "crop_origin_y", "The same for rows.", unit="pixels", ge=-1, le=65_536
    )


class Configurations(Settings):
    """The operator's keys, under CYGNO's names."""

    odb_path: ClassVar[str] = "/Configurations"

    free_running: bool = setting(
        False,
        "FreeRunning",
        "Frames alone: digitizers are not read and every frame is kept (mode `free`).",
    )
    trigger_mode: Literal[0, 3] = setting(
        0,
        "TriggerMode",
        "0: a frame is kept when a PMT trigger fell into its exposure (mode `pmt`); 3: every frame"
        " is kept, with all waveforms of its exposure (mode `continuous`).",
    )
    max_events: int = setting(
        -1, "MaxEvents", "Stop the run after this many events; 0 or -1 is never.", ge=-1
    )
    pedestal: bool = setting(
        False, "Pedestal", "Marks a pedestal run; simulated devices then give no light."
    )
    exposure_s: float = setting(0.3, "Exposure", "Exposure time of a frame.", unit="s", gt=0, le=60)
    number_of_digitizers: int = setting(
        2,
        "Number of Digitizers",
        "How many of the boards in /Equipment/Trigger/Settings/Digitizers are read.",
        ge=0,
        le=8,
    )
    digitizer_samples: tuple[Samples, ...] = setting(
        (1024, 4000), "DigitizerSamples", "Samples of a waveform, per board."
    )
    sampling_frequency: tuple[SamplingCode, ...] = setting(
        (0, 4),
        "SamplingFrequency",
        "Sampling code, per board; V1742: 0 = 750 MS/s, 1 = 1 GS/s, 2 = 2.5 GS/s, 3 = 5 GS/s.",
    )
    post_trigger_percent: tuple[Percent, ...] = setting(
        (60, 60), "DigitizerPostTrg", "Part of the window after the trigger, per board.", unit="%"
    )
    offsets: tuple[Fraction, ...] = setting(
        (-0.5, *(-0.3,) * 7, *(0.0,) * 24, -0.45, *(0.0,) * 7),
        "DigitizerOffset",
        "DC offset per channel, board after board, as fraction of the range.",
    )
    max_triggers: int = setting(
        128, "MultiTriggerMaxSize", "Triggers that one event holds, per board.", ge=1, le=128
    )
    drs4_correction: bool = setting(
        False, "DRS4Correction", "Whether the vendor's library corrects DRS4 waveforms on board."
    )
    pmt_acquisition: bool = setting(
        True, "pmt_acquisition", "Whether the PMTs take part; goes to the run log."
    )
    run_type: int = setting(0, "run_type", "Code of the kind of run; goes to the run log.")
    shielding_configuration: int = setting(
        3, "shielding_configuration", "Code of the shielding; goes to the run log."
    )
    storage_flag_default: int = setting(
        -1, "storage_flag_default", "Storage status that the run log has at begin of run."
    )
    trigger_state: TriggerState = subtree(TriggerState(), "TriggerState")
    source_state: SourceState = subtree(SourceState(), "SourceState")
    crop: CropSettings = subtree(CropSettings(), CropSettings.folder)


class TriggerSettings(Settings):
    """The trigger frontend: its devices, and how frames travel."""

    odb_path: ClassVar[str] = "/Equipment/Trigger/Settings"

    cameras: tuple[str, ...] = setting(
        ("sim:fusion",), "Cameras", "Drivers of the cameras, `driver:address`, in bank order."
    )
    first_camera: int = setting(
        0,
        "First camera",
        "Number of the first camera in the names of banks; where several processes have cameras,"
        " each has its own.",
        ge=0,
        le=5,
    )
    camera_options: str = setting(
        "{}",
        "Camera options",
        "JSON object of options for the drivers of all cameras, or a list of one for each.",
    )
    digitizers: tuple[str, ...] = setting(
        ("sim:V1742", "sim:V1720E"),
        "Digitizers",
        "Drivers of the digitizers, `driver:address`, in bank order.",
    )
    digitizer_options: str = setting(
        "{}",
        "Digitizer options",
        "JSON object of options for the drivers of all boards, or a list of one for each.",
    )
    mode: Literal["keys", "pmt", "continuous", "free"] = setting(
        "keys",
        "Mode",
        "Which frames are kept: keys, as /Configurations/FreeRunning and TriggerMode say; or, by"
        " its name, one of the modes told there.",
    )
    frame_rate_hz: float = setting(
        2.0,
        "Frame rate Hz",
        "Frames per second; 0 is as fast as the camera goes and events can be sent.",
        unit="Hz",
        ge=0,
        le=1e4,
    )
    generation: Literal["A", "C"] = setting(
        "A", "Generation", "Event layout: CYGNO's A (LIME, read by its public tools) or C."
    )
    ring_seconds: float = setting(
        2.0,
        "Ring seconds",
        "Time at the expected rate that the ring can hold while events cannot be sent.",
        unit="s",
        ge=0,
        le=600,
    )
    ring_slots: int = setting(
        8, "Ring slots", "Events that the ring holds at least.", unit="events", ge=3, le=4096
    )
    ring_memory_mb: int = setting(
        1024,
        "Ring memory MB",
        "Memory that the ring may take at most.",
        unit="MB",
        ge=1,
        le=1_000_000,
    )
    send_timeout_ms: int = setting(
        20,
        "Send timeout ms",
        "How long one try to send waits for room before transitions are served.",
        unit="ms",
        ge=2,
        le=1000,
    )
    event_wait_ms: int = setting(
        1000,
        "Event wait ms",
        "How long a frame waits for other cameras and digitizers before its event counts as"
        " incomplete.",
        unit="ms",
        ge=1,
        le=60_000,
    )
    match_window_ms: float = setting(
        2.0,
        "Match window ms",
        "With several cameras, a frame whose time since the one before is a multiple of the period,"
        " give or take this, belongs where its time says if its camera counted fewer; 0 trusts the"
        " counts alone.",
        unit="ms",
        ge=0,
        le=1000,
    )
    silence_s: float = setting(
        10.0,
        "Silence alarm s",
        "Time without a frame, beyond exposure and frame period, after which an alarm says so.",
        unit="s",
        gt=0,
        le=3600,
    )
    silence_ends_run: bool = setting(
        False,
        "Silence ends run",
        "A silent device counts as failed: the run is stopped, and started again as often as"
        " `Restart tries` says. Off where a camera may wait long for its trigger.",
    )
    drain_s: float = setting(
        10.0,
        "Drain limit s",
        "How long the end of a run waits until the ring is empty; what is left is counted lost.",
        unit="s",
        gt=0,
        le=100,
    )
    buffer_seconds: float = setting(
        0.1,
        "Buffer seconds",
        "Begin of run is refused if the event buffer does not hold this time at the expected rate;"
        " the ring holds more, but every event passes through the buffer.",
        unit="s",
        ge=0,
        le=60,
    )
    disk_minutes: float = setting(
        2.0,
        "Disk minutes",
        "Begin of run is refused if the disk does not hold this time at the expected rate.",
        unit="min",
        ge=0,
        le=10_000,
    )
    release_pages: bool = setting(
        True,
        "Release written pages",
        "Where the logger's file is on this machine, its pages leave memory once they are on the"
        " disk: mlogger then needs less processor time. Off where the file is soon read again.",
    )
    compress_frames: bool = setting(
        False,
        "Compress frames",
        "Frames leave losslessly compressed, bank CZ<i> in place of CAM<i>; raw, and counted, where"
        " compression does not keep up. CYGNO's own tools do not read CZ<i>.",
    )
    compression_method: codec.Method = setting(
        "dense",
        "Compression method",
        "dense: byte shuffle and zstd, within 6 % of what noise allows; fast: packed bits, a third"
        " of the processor time, 15 % more bytes. Readers take both.",
    )
    compress_workers: int = setting(
        0,
        "Compress workers",
        "Threads that compress frames; 0 is one for each core this program may use.",
        ge=0,
        le=64,
    )
    preview_rate_hz: float = setting(
        1.0,
        "Preview rate Hz",
        "Previews per second, for pages: an image of 8 bits and one trigger's waveforms in buffer"
        " PREVIEW; 0 is none.",
        unit="Hz",
        effect="live",
        ge=0,
        le=MAX_PREVIEW_RATE_HZ,
    )

    restart_tries: int = setting(
        0,
        "Restart tries",
        "How often in a row a run that a failed device has ended is started again; 0 is never.",
        ge=0,
        le=1000,
    )
    restart_wait_s: float = setting(
        2.0,
        "Restart wait s",
        "Time before the first automatic start; it doubles with each try, up to a minute.",
        unit="s",
        gt=0,
        le=60,
    )

    @field_validator("camera_options", "digitizer_options")
    @classmethod
    def _is_json(cls, text: str) -> str:
        options_for(text, 0)
        return text

    @field_validator("cameras", "digitizers")
    @classmethod
    def _drop_empty(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name)


class HighVoltageSettings(Settings):
    """The high-voltage supply of the slow-control frontend."""

    odb_path: ClassVar[str] = "/Equipment/HV/Settings"

    driver: str = setting(
        "sim", "Driver", "Driver of the supply, `driver:address`.", effect="restart"
    )
    options: str = setting(
        "{}", "Options", "JSON object of options for the driver.", effect="restart"
    )

    @field_validator("options")
    @classmethod
    def _is_json(cls, text: str) -> str:
        options_for(text, 0)
        return text


class EnvironmentSettings(HighVoltageSettings):
    """The sensors (gas, temperatures) of the slow-control frontend."""

    odb_path: ClassVar[str] = "/Equipment/Environment/Settings"


def options_for(text: str, index: int) -> dict[str, Any]:
    """Return the options of device number `index` from a setting's JSON text.

    >>> options_for('[{"seed": 1}, {"seed": 2}]', 1)
    {'seed': 2}

    :raises ValueError: if it is neither a JSON object nor a list of them.
    """
    allowed = "a JSON object, or a list of JSON objects, one for each device"
    try:
        content = json.loads(text or "{}")
    except ValueError as error:
        raise ValueError(f"{allowed} ({error})") from error
    entries = content if isinstance(content, list) else [content]
    if not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(allowed)
    if isinstance(content, dict):
        return dict(content)
    return dict(entries[index]) if index < len(entries) else {}
