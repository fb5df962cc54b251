"""The digitizer contract: boards that record waveforms on triggers of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

TRIGGER_DTYPE = np.dtype(
    [
        (("trigger counter of the board, rolls over at 24 bit", "counter"), "u4"),
        (("trigger time tag as the board gives it (TTT)", "time_tag"), "u4"),
        (("upper bits of the extended trigger time tag", "time_tag_high"), "u4"),
        (("DRS4 start index cell of group 0 (V1742), else 0", "start_cell"), "u4"),
        (("trigger time since start of acquisition, rollover undone [ns]", "time_ns"), "i8"),
    ]
)
"""One record a trigger, as `Digitizer.read_into` fills them."""


@dataclass(frozen=True, slots=True)
class DigitizerInfo:
    """What a board is and how it is set up.

    :param model: "V1742" or "V1720E".
    :param sampling_word: as CYGNO's DGH0 has it: V1720E 250 [MS/s]; V1742 the sample period in ps
        (1333, 1000, 400, 200).
    :param time_tag_ns: length of one count of the trigger time tag [ns].
    """

    model: str
    serial_number: int
    channels: int
    samples: int
    bits: int
    sampling_word: int
    sample_period_ns: float
    time_tag_ns: float


@dataclass(frozen=True, slots=True)
class DigitizerConfig:
    """What the next acquisition shall be.

    :param samples: samples a waveform.
    :param sampling_code: CYGNO's SamplingFrequency code; V1742: 0 = 750 MS/s, 1 = 1 GS/s, 2 = 2.5
        GS/s, 3 = 5 GS/s.
    :param post_trigger_percent: part of the window after the trigger [%].
    :param offsets: DC offset per channel, fraction of the range, -0.5 to 0.5.
    :param max_triggers: waveforms a channel that one frame may hold (CYGNO: 128).
    :param on_board_correction: DRS4 corrections done by the vendor's library.
    """

    samples: int = 1024
    sampling_code: int = 0
    post_trigger_percent: int = 60
    offsets: Sequence[float] = ()
    max_triggers: int = 128
    on_board_correction: bool = False
    run_number: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)


class Readout(NamedTuple):
    """What one call of `Digitizer.read_into` brought.

    :param triggers: number of triggers written.
    :param complete_until_ns: all triggers before this time (since start of acquisition) have now
        been delivered [ns].
    :param lost: triggers the board knows it lost since the last call.
    """

    triggers: int
    complete_until_ns: int
    lost: int = 0


class Digitizer(Protocol):
    """One digitizer board. Constructed as ``Driver(address, **options)``."""

    @property
    def info(self) -> DigitizerInfo:
        """Model and set-up; valid after `ensure_ready`."""
        ...

    def ensure_ready(self, config: DigitizerConfig) -> None:
        """Connect if need be and set up the coming acquisition.

        :raises DeviceError: naming the board, the value seen and the values allowed.
        """
        ...

    def start_acquiring(self) -> None:
        """Accept triggers; the board's time tag begins at zero."""
        ...

    def read_into(
        self,
        waveforms: npt.NDArray[np.uint16],
        triggers: npt.NDArray[np.void],
        timeout_s: float,
    ) -> Readout:
        """Wait for triggers and write them.

        :param waveforms: (n, channels, samples) uint16 [ADC counts], filled from the front.
        :param triggers: (n,) of `TRIGGER_DTYPE`, filled alike.
        :returns: with 0 triggers if none came in `timeout_s`; ``complete_until_ns`` is true then
            too, so that an event builder knows that an exposure had no trigger. A driver may
            return so before `timeout_s`, when ``complete_until_ns`` has moved on.
        :raises DeviceError: if the board is gone or says it failed.
        """
        ...

    def wait_for_idle(self, timeout_s: float) -> bool:
        """Refuse new triggers; return True when those recorded can be read or were read."""
        ...

    def ensure_stopped(self) -> None:
        """Stop at once, from any state. May be called twice and never raises."""
        ...
