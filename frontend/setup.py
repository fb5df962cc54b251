"""What one run shall be: the operator's settings, checked against one another."""

import json
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from experiment.client import Client
from experiment.settings import declare, load, refusal
from frontend.settings import Configurations, TriggerSettings, options_for
from hardware.camera import CameraConfig
from hardware.digitizer import DigitizerConfig

FASTEST_HZ = 100.0
"""Rate that is expected of a camera as fast as it goes (ORCA Fusion: 89.1 frames/s)."""


class Mode(StrEnum):
    """Which frames are kept, and with what."""

    PMT = "pmt"
    """Frames with at least one PMT trigger in their exposure, with all their waveforms."""
    CONTINUOUS = "continuous"
    """All frames, with all waveforms of their exposure, also none."""
    FREE = "free"
    """All frames, alone; digitizers are not read."""


@dataclass(frozen=True, slots=True)
class DeviceName:
    """How a driver is opened: as `hardware.registry.open_device` takes it."""

    driver: str
    options: tuple[tuple[str, str], ...]
    """Option names and their values as JSON, so that two of these can be compared."""

    def keywords(self) -> dict[str, Any]:
        """Return the options as keyword arguments."""
        return {key: json.loads(value) for key, value in self.options}


@dataclass(frozen=True, slots=True)
class RunSetup:
    """Settings of one run, valid together."""

    configurations: Configurations
    trigger: TriggerSettings
    path: str = TriggerSettings.odb_path
    """Where the frontend's settings are in the ODB."""

    def __post_init__(self) -> None:
        _check(self.configurations, self.trigger, self.path)

    @property
    def mode(self) -> Mode:
        """What is named; else FreeRunning is `free`, TriggerMode 0 `pmt` and 3 `continuous`."""
        return _mode(self.configurations, self.trigger)

    @property
    def generation(self) -> Literal["A", "C"]:
        """Event layout."""
        return self.trigger.generation

    @property
    def max_events(self) -> int | None:
        """Events after which the run ends; None is never."""
        limit = self.configurations.max_events
        return limit if limit > 0 else None

    @property
    def period_ns(self) -> int | None:
        """Nominal time from one exposure's start to the next [ns]; None if the camera decides."""
        rate = self.trigger.frame_rate_hz
        return round(1e9 / rate) if rate else None

    @property
    def expected_rate_hz(self) -> float:
        """Frames per second to be prepared for."""
        fastest = min(FASTEST_HZ, 1.0 / self.configurations.exposure_s)
        return self.trigger.frame_rate_hz or fastest

    @property
    def cameras(self) -> list[DeviceName]:
        """Cameras to read, in bank order."""
        return _names(self.trigger.cameras, self.trigger.camera_options)

    @property
    def digitizers(self) -> list[DeviceName]:
        """Boards to read, in bank order; none in mode `free`."""
        if self.mode is Mode.FREE:
            return []
        names = _names(self.trigger.digitizers, self.trigger.digitizer_options)
        return names[: self.configurations.number_of_digitizers]

    def camera_config(self, run_number: int, index: int) -> CameraConfig:
        """Return what camera `index` shall do in a run."""
        return CameraConfig(
            exposure_s=self.configurations.exposure_s,
            rate_hz=self.trigger.frame_rate_hz,
            run_number=run_number,
            options={"pedestal": self.configurations.pedestal, "index": index},
        )

    def digitizer_config(
        self, run_number: int, index: int, channels_before: int
    ) -> DigitizerConfig:
        """Return what board `index` shall do in a run.

        :param channels_before: channels of the boards before it, where its offsets begin: CYGNO's
            generation A counts 32 a board, C the channels there are; for its boards it is the same.
        """
        keys = self.configurations
        return DigitizerConfig(
            samples=keys.digitizer_samples[index],
            sampling_code=keys.sampling_frequency[index],
            post_trigger_percent=keys.post_trigger_percent[index],
            offsets=keys.offsets[channels_before:],
            max_triggers=keys.max_triggers,
            on_board_correction=keys.drs4_correction,
            run_number=run_number,
            options={
                "pedestal": keys.pedestal,
                "index": index,
                "exposure_s": keys.exposure_s,
                "rate_hz": self.trigger.frame_rate_hz,
            },
        )

    def ring_slots(self, event_bytes: int) -> int:
        """Return how many slots the ring shall have for events of at most this size.

        :raises SettingsError: if the memory it may take is too small for the slots it must have.
        """
        wanted = math.ceil(self.trigger.ring_seconds * self.expected_rate_hz)
        affordable = self.trigger.ring_memory_mb * 1_000_000 // event_bytes
        if affordable < self.trigger.ring_slots:
            needed = math.ceil(self.trigger.ring_slots * event_bytes / 1e6)
            raise refusal(
                self.path,
                "Ring memory MB",
                self.trigger.ring_memory_mb,
                f"at least {needed} for {self.trigger.ring_slots} slots of {event_bytes} bytes",
            )
        return max(self.trigger.ring_slots, min(wanted, affordable))


def load_setup(client: Client, path: str = TriggerSettings.odb_path) -> RunSetup:
    """Read the settings of the coming run.

    :param path: of the frontend's own settings.
    :raises SettingsError: naming each bad key, its value and what is allowed.
    """
    return RunSetup(
        load(client, Configurations.odb_path, Configurations),
        load(client, path, TriggerSettings),
        path,
    )


def declare_setup(client: Client, path: str = TriggerSettings.odb_path) -> None:
    """Put the settings into the ODB where they are missing."""
    declare(client, Configurations.odb_path, Configurations())
    declare(client, path, TriggerSettings())


def _names(drivers: tuple[str, ...], options: str) -> list[DeviceName]:
    names = []
    for index, driver in enumerate(drivers):
        chosen = options_for(options, index)
        pairs = tuple((key, json.dumps(chosen[key], sort_keys=True)) for key in sorted(chosen))
        names.append(DeviceName(driver, pairs))
    return names


def _mode(keys: Configurations, trigger: TriggerSettings) -> Mode:
    if trigger.mode != "keys":
        return Mode(trigger.mode)
    if keys.free_running:
        return Mode.FREE
    return Mode.CONTINUOUS if keys.trigger_mode == 3 else Mode.PMT


def _check(keys: Configurations, trigger: TriggerSettings, path: str) -> None:
    """Check what one key alone cannot tell. :raises SettingsError: naming key and value."""
    if not 1 <= len(trigger.cameras) <= 6:  # CYGNO's NCAM_MAX
        raise refusal(path, "Cameras", list(trigger.cameras), "1 to 6 drivers such as sim:fusion")
    if trigger.first_camera + len(trigger.cameras) > 6:
        allowed = f"at most {6 - len(trigger.cameras)}, since cameras are numbered 0 to 5"
        raise refusal(path, "First camera", trigger.first_camera, allowed)
    for key, text, count in (
        ("Camera options", trigger.camera_options, len(trigger.cameras)),
        ("Digitizer options", trigger.digitizer_options, len(trigger.digitizers)),
    ):
        content = json.loads(text or "{}")
        if isinstance(content, list) and len(content) != count:
            raise refusal(path, key, text, f"one object for all, or a list of {count}")
    _check_exposure(keys, trigger, path)
    if _mode(keys, trigger) is Mode.FREE:
        return
    boards = keys.number_of_digitizers
    if boards > len(trigger.digitizers):
        allowed = f"at most {len(trigger.digitizers)}, as many as {path}/Digitizers names"
        raise refusal(keys.odb_path, "Number of Digitizers", boards, allowed)
    if boards == 0 and _mode(keys, trigger) is Mode.PMT:
        why = "while Number of Digitizers is 0, since no PMT can trigger"
        if trigger.mode != "keys":
            raise refusal(path, "Mode", trigger.mode, f"continuous or free {why}")
        raise refusal(keys.odb_path, "TriggerMode", 0, f"3 (continuous) {why}")
    for key, values in (
        ("DigitizerSamples", keys.digitizer_samples),
        ("SamplingFrequency", keys.sampling_frequency),
        ("DigitizerPostTrg", keys.post_trigger_percent),
    ):
        if len(values) < boards:
            allowed = f"one value for each of {boards} digitizers"
            raise refusal(keys.odb_path, key, list(values), allowed)


def _check_exposure(keys: Configurations, trigger: TriggerSettings, path: str) -> None:
    rate = trigger.frame_rate_hz
    # A part in a million: 1/3 Hz typed as 0.333333 is meant to fit an exposure of 3 s.
    if rate and keys.exposure_s * rate > 1 + 1e-6:
        allowed = f"at most {1 / rate:.6g} s at {path}/Frame rate Hz = {rate:g}"
        raise refusal(keys.odb_path, "Exposure", keys.exposure_s, allowed)
