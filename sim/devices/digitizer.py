"""Simulated digitizers: waveforms of the simulated detector behind `hardware.digitizer`."""

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hardware.digitizer import DigitizerConfig, DigitizerInfo, Readout
from hardware.errors import DeviceError
from sim.detector.warmup import compile_kernels
from sim.detector.waveforms import BOARDS, Recording, record, start_cell
from sim.devices.clock import NEVER, Acquisition, join
from sim.devices.faults import Faults
from sim.devices.options import DigitizerOptions, check_options
from sim.devices.triggers import TICK_DENOMINATOR, TICK_NUMERATOR, BoardTrigger, TriggerStream

COUNTERS = 1 << 24
V1742_PERIODS_PS = {0: 1333, 1: 1000, 2: 400, 3: 200}
V1742_SAMPLES = (1024, 520, 256, 136)
V1720E_MEMORY_SAMPLES = 1_250_000
_TAG_BITS = {"V1742": (30, 30), "V1720E": (32, 16)}
"""Bits of the time tag, and of the word that extends it."""
_DEFAULT_OFFSETS = {
    "V1742": (-0.5, *(-0.3,) * 7, *(0.0,) * 24),
    "V1720E": (-0.45, *(0.0,) * 7),
}
_SERIAL_NUMBERS = {"V1742": 16362, "V1720E": 17174}


@dataclass(eq=False)
class _Session:
    """What lasts from `start_acquiring` to `ensure_stopped`."""

    acquisition: Acquisition
    stream: TriggerStream
    faults: Faults
    stopped: threading.Event = field(default_factory=threading.Event)
    stop_ns: int = NEVER
    """From when on triggers are refused."""
    memory: deque[BoardTrigger] = field(default_factory=deque)
    complete_until_ns: int = 0


class SimulatedDigitizer:
    """A board that records the simulated PMTs.

    It delivers nothing before the first simulated camera of its clock has started.

    :param address: V1742 or V1720E; empty is V1742.
    :param options: see `sim.devices.options.DigitizerOptions`.
    :raises DeviceError: for a bad address or option.
    """

    def __init__(self, address: str = "", **options: Any) -> None:
        self._name = f"digitizer sim:{address or 'V1742'}"
        board = BOARDS.get((address or "V1742").upper())
        if board is None:
            allowed = ", ".join(BOARDS)
            raise DeviceError(f"{self._name}: address is {address!r}; allowed: {allowed}")
        self._board = board
        self._given = options
        self._options = check_options(DigitizerOptions, self._name, options)
        self._recording: Recording | None = None
        self._session: _Session | None = None
        self._spent_faults: set[str] = set()

    @property
    def info(self) -> DigitizerInfo:
        """Model and set-up; valid after `ensure_ready`."""
        recording = self._ready_recording()
        return DigitizerInfo(
            model=self._board.name,
            serial_number=_SERIAL_NUMBERS[self._board.name] + self._options.specimen,
            channels=self._board.channels,
            samples=recording.samples,
            bits=12,
            sampling_word=round(recording.period_ns * 1000) if self._board.has_drs4 else 250,
            sample_period_ns=recording.period_ns,
            time_tag_ns=TICK_NUMERATOR / TICK_DENOMINATOR,
        )

    def ensure_ready(self, config: DigitizerConfig) -> None:
        """Set up the coming acquisition; ``config.options`` win over the constructor's."""
        self.ensure_stopped()
        self._options = check_options(DigitizerOptions, self._name, self._given, config.options)
        self._recording = self._make_recording(config)
        compile_kernels()

    def start_acquiring(self) -> None:
        """Accept triggers, which come once a camera has started."""
        self._ready_recording()
        if self._session is not None:
            raise DeviceError(f"{self._name} acquires already: call ensure_stopped first")
        acquisition = join(self._options.clock)
        faults = self._options.faults.without(self._spent_faults)
        self._session = _Session(acquisition, TriggerStream(acquisition), faults)

    def read_into(
        self,
        waveforms: npt.NDArray[np.uint16],
        triggers: npt.NDArray[Any],
        timeout_s: float,
    ) -> Readout:
        """Wait for triggers and write them; see `hardware.digitizer.Digitizer.read_into`.

        It also returns, without triggers, as soon as a frame is over that had none.
        """
        session = self._session
        if session is None:
            return Readout(0, 0)
        recording = self._ready_recording()
        self._check_buffers(waveforms, triggers, recording)
        deadline_s = time.monotonic() + timeout_s
        while True:
            # Asked before the triggers: what comes later is after this time.
            is_over, now_ns = self._look_at_clock(session)
            lost = self._accept(session, now_ns)
            count = self._read_out(session, recording, waveforms, triggers)
            has_news = self._note_complete(session, now_ns, is_over)
            left_s = deadline_s - time.monotonic()
            if count or lost or has_news or left_s <= 0 or session.stopped.is_set():
                until_ns = session.faults.on_own_clock(session.complete_until_ns)
                return Readout(count, until_ns, lost)
            if is_over:
                session.stopped.wait(left_s)
            else:
                next_ns = min(session.stream.next_ns(), session.stop_ns)
                session.acquisition.wait_past(next_ns, left_s, session.stopped)

    def wait_for_idle(self, timeout_s: float) -> bool:
        """Refuse new triggers; those recorded can be read."""
        session = self._session
        if session is not None:
            session.stop_ns = min(session.stop_ns, session.acquisition.now_ns())
            session.acquisition.wake()
        return True

    def ensure_stopped(self) -> None:
        """Stop at once; what the board's memory holds is gone."""
        session, self._session = self._session, None
        if session is not None:
            session.stopped.set()
            session.acquisition.wake()

    # triggers --------------------------------------------------------------------------------

    def _look_at_clock(self, session: _Session) -> tuple[bool, int]:
        """Tell whether no trigger comes any more, and until when they may have come [ns]."""
        is_over = session.acquisition.is_over
        now_ns = session.acquisition.now_ns()
        return is_over or now_ns >= session.stop_ns, min(now_ns, session.stop_ns)

    def _accept(self, session: _Session, now_ns: int) -> int:
        """Take what has come until now into the board's memory; return how many are lost."""
        run, faults = session.acquisition.run, session.faults
        if run is None:
            return 0
        room = self._options.buffer_triggers if session.acquisition.is_paced else NEVER
        lost = 0
        for trigger in session.stream.before(self._horizon_ns(session, now_ns)):
            place = (run.seed, run.number, self._options.index, trigger.frame)
            if len(session.memory) >= room or faults.loses_trigger(*place, trigger.number):
                lost += 1
            else:
                session.memory.append(trigger)
        return lost

    def _horizon_ns(self, session: _Session, now_ns: int) -> int:
        """Return until when the board works: now, or when a fault stopped it."""
        run, faults = session.acquisition.run, session.faults
        if run is None:
            return 0
        gone, hangs = faults.disconnect_triggers_at, faults.hang_triggers_at
        if gone is not None and now_ns > gone * run.period_ns:
            self._spent_faults.add("disconnect_triggers_at")
            raise DeviceError(
                f"{self._name} S/N {self.info.serial_number} is gone in frame {gone}: check the "
                "crate's power and the optical link, then start the run again"
            )
        if hangs is not None and now_ns > hangs * run.period_ns:
            self._spent_faults.add("hang_triggers_at")
            return hangs * run.period_ns
        return now_ns

    def _read_out(
        self,
        session: _Session,
        recording: Recording,
        waveforms: npt.NDArray[np.uint16],
        triggers: npt.NDArray[Any],
    ) -> int:
        run = session.acquisition.run
        count = min(len(waveforms), len(triggers), len(session.memory))
        if run is None:
            return 0
        low_bits, high_bits = _TAG_BITS[self._board.name]
        for i in range(count):
            met = session.memory.popleft()
            record(waveforms[i], recording, run, met.frame, met.trigger)
            tag = session.faults.time_tag_start + session.faults.on_own_clock(met.ticks)
            triggers[i] = (
                met.number % COUNTERS,
                tag % (1 << low_bits),
                (tag >> low_bits) % (1 << high_bits),
                start_cell(recording, run, met.frame, met.trigger),
                session.faults.on_own_clock(met.time_ns),
            )
        return count

    def _note_complete(self, session: _Session, now_ns: int, is_over: bool) -> bool:
        """Update until when all triggers were read out; True if a frame ended by that."""
        run = session.acquisition.run
        if run is None:
            return False
        before_ns = session.complete_until_ns
        until_ns = self._horizon_ns(session, now_ns)
        if session.memory:
            until_ns = session.memory[0].time_ns
        elif is_over and until_ns == now_ns:
            until_ns = NEVER
        session.complete_until_ns = max(before_ns, until_ns)
        return session.complete_until_ns // run.period_ns > before_ns // run.period_ns

    # set-up ----------------------------------------------------------------------------------

    def _ready_recording(self) -> Recording:
        if self._recording is None:
            raise DeviceError(f"{self._name} was not made ready: call ensure_ready first")
        return self._recording

    def _make_recording(self, config: DigitizerConfig) -> Recording:
        board = self._board
        problem = ""
        if board.has_drs4 and config.samples not in V1742_SAMPLES:
            problem = f"samples is {config.samples}; allowed: {V1742_SAMPLES}"
        elif not board.has_drs4 and not 16 <= config.samples * max(config.max_triggers, 1) <= (
            V1720E_MEMORY_SAMPLES
        ):
            problem = (
                f"samples is {config.samples}; allowed: up to {V1720E_MEMORY_SAMPLES} / "
                f"{config.max_triggers} triggers"
            )
        elif board.has_drs4 and config.sampling_code not in V1742_PERIODS_PS:
            problem = f"sampling code is {config.sampling_code}; allowed: 0 to 3"
        elif not 0 <= config.post_trigger_percent <= 100:
            problem = f"post-trigger is {config.post_trigger_percent} %; allowed: 0 to 100"
        if problem:
            raise DeviceError(f"{self._name}: {problem}. Correct it under /Configurations.")
        offsets = (*config.offsets, *_DEFAULT_OFFSETS[board.name][len(config.offsets) :])
        period_ps = V1742_PERIODS_PS[config.sampling_code] if board.has_drs4 else 4000
        return Recording(
            board=board,
            specimen=self._options.specimen,
            samples=config.samples,
            period_ns=period_ps / 1000,
            post_trigger_percent=config.post_trigger_percent,
            offsets=tuple(float(offset) for offset in offsets[: board.channels]),
            has_pattern=board.has_drs4 and not config.on_board_correction,
        )

    def _check_buffers(
        self, waveforms: npt.NDArray[np.uint16], triggers: npt.NDArray[Any], recording: Recording
    ) -> None:
        shape = (self._board.channels, recording.samples)
        if waveforms.shape[1:] != shape or waveforms.dtype != np.uint16 or not len(triggers):
            raise DeviceError(
                f"{self._name} was given a buffer of {waveforms.dtype} {waveforms.shape}; it "
                f"writes uint16 (n, {shape[0]}, {shape[1]}), n > 0"
            )
