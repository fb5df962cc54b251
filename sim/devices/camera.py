"""A simulated camera: light, noise and truth behind the contract of `hardware.camera`."""

import contextlib
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hardware.camera import CameraConfig, CameraInfo, FrameInfo
from hardware.errors import DeviceError
from sim.detector.event import Run, View, make_event
from sim.detector.light import TrackLight, draw_frame
from sim.detector.randomness import stream
from sim.detector.sensor import make_sensor, prepared_frames, sensor_model, stuck_pixels
from sim.detector.tracks import Rates
from sim.detector.truth import TruthWriter
from sim.detector.warmup import compile_kernels
from sim.devices.clock import NEVER, Acquisition, join
from sim.devices.faults import Faults
from sim.devices.options import CameraOptions, check_options

MAX_RATE_PERIOD_NS = 10_000_000
"""Frame period on the simulated clock when frames come as fast as they are read, or the exposure
where that is longer [ns]."""
SHORTEST_EXPOSURE_NS = 10_000
HIGHEST_RATE_HZ = 10_000.0
COUNTERS = 1 << 32
DARKNESS = Rates(iron=0, alpha=0, muon=0, recoil=0, dark=0)
_SERIAL_NUMBER = 500100


@dataclass(eq=False)
class _Session:
    """What lasts from `start_acquiring` to `ensure_stopped`."""

    acquisition: Acquisition
    run: Run
    view: int
    """Position of the camera among those of the run."""
    faults: Faults
    truth: TruthWriter | None
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while a frame is written, so that `ensure_stopped` does not close its truth."""
    next_frame: int = 0
    lost: int = 0
    """Frames lost since the last one delivered."""


class SimulatedCamera:
    """A camera that looks into the simulated detector.

    :param address: fusion, quest, flash, or ROWSxCOLS; empty is fusion.
    :param options: see `sim.devices.options.CameraOptions`.
    :raises DeviceError: for a bad address or option.
    """

    def __init__(self, address: str = "", **options: Any) -> None:
        self._name = f"camera sim:{address or 'fusion'}"
        try:
            self._model = sensor_model(address or "fusion")
        except ValueError as error:
            raise DeviceError(f"{self._name}: {error}") from error
        self._given = options
        self._options = check_options(CameraOptions, self._name, options)
        self._config: CameraConfig | None = None
        self._declared: Acquisition | None = None
        self._session: _Session | None = None
        self._spent_faults: set[str] = set()
        self._born_s = time.monotonic()

    @property
    def info(self) -> CameraInfo:
        """Model, serial number and shape."""
        number = _SERIAL_NUMBER + self._specimen
        rows, columns = self._model.shape
        model = f"{self._model.name} (simulated)"
        return CameraInfo(model, f"{number:06d}", rows, columns, self._options.bits)

    @property
    def sensor_temperature_c(self) -> float:
        """Sensor temperature [deg C]: -18.5, swinging a little within minutes."""
        age_s = time.monotonic() - self._born_s
        ripple = stream("temperature", int(age_s)).normal(0.0, 0.05)
        return float(-18.5 + 0.3 * np.sin(age_s / 90.0) + ripple)

    def ensure_ready(self, config: CameraConfig) -> None:
        """Set up the coming acquisition; ``config.options`` win over the constructor's."""
        self.ensure_stopped()
        if not SHORTEST_EXPOSURE_NS <= config.exposure_s * 1e9 <= 3.6e12:
            raise DeviceError(
                f"{self._name}: exposure is {config.exposure_s} s; allowed: "
                f"{SHORTEST_EXPOSURE_NS * 1e-9:g} to 3600 s. Set /Configurations/Exposure."
            )
        if not 0 <= config.rate_hz <= HIGHEST_RATE_HZ:
            raise DeviceError(
                f"{self._name}: rate is {config.rate_hz} Hz; allowed: 0 (as fast as it is read) "
                f"to {HIGHEST_RATE_HZ:g} Hz"
            )
        self._options = check_options(CameraOptions, self._name, self._given, config.options)
        self._config = config
        make_sensor(self._model, self._specimen)
        compile_kernels()
        self._prepared()
        self._declare()

    def start_acquiring(self) -> None:
        """Start exposures; the first camera starts the clock that all devices share."""
        config = self._config
        if config is None:
            raise DeviceError(f"{self._name} was not made ready: call ensure_ready first")
        if self._session is not None:
            raise DeviceError(f"{self._name} acquires already: call ensure_stopped first")
        acquisition = self._declare()
        index = self._options.index
        try:
            run = acquisition.begin(index, self._plan(config), is_paced=config.rate_hz > 0)
        except ValueError as error:
            raise DeviceError(f"{self._name} cannot start: {error}") from error
        view = [view.index for view in run.views].index(index)
        try:
            truth = self._open_truth(run, view)
        except DeviceError:
            acquisition.end(index)
            raise
        self._declared = None
        faults = self._options.faults.without(self._spent_faults)
        self._session = _Session(acquisition, run, view, faults, truth)

    def read_into(self, pixels: npt.NDArray[np.uint16], timeout_s: float) -> FrameInfo | None:
        """Wait for the next frame and write it to `pixels`, (rows, columns) uint16."""
        session = self._session
        if session is None:
            return None
        if pixels.shape != self._model.shape or pixels.dtype != np.uint16:
            raise DeviceError(
                f"{self._name} was given a buffer of {pixels.dtype} {pixels.shape}; it writes "
                f"uint16 {self._model.shape}"
            )
        deadline_s = time.monotonic() + timeout_s
        while self._wait_for_frame(session, deadline_s):
            with session.lock:
                if session.stopped.is_set():
                    return None
                info = self._take_frame(session, pixels)
            if info is not None or time.monotonic() > deadline_s:
                return info
        return None

    def wait_for_idle(self, timeout_s: float) -> bool:
        """Stop new exposures, of all cameras of the clock; wait for the end of the last one."""
        session = self._session
        if session is None:
            return True
        frames = session.acquisition.stop_exposures()
        if frames == 0 or not session.acquisition.is_paced:
            return True
        last_end_ns = (frames - 1) * session.run.period_ns + session.run.exposure_ns
        return session.acquisition.wait_past(last_end_ns, timeout_s, session.stopped)

    def ensure_stopped(self) -> None:
        """Stop at once; closes the file with the truth."""
        session, self._session = self._session, None
        if self._declared is not None:
            self._declared.withdraw(self._options.index)
            self._declared = None
        if session is None:
            return
        session.stopped.set()
        session.acquisition.end(self._options.index)
        with session.lock, contextlib.suppress(OSError):
            if session.truth is not None:
                session.truth.close()

    # one frame -------------------------------------------------------------------------------

    def _wait_for_frame(self, session: _Session, deadline_s: float) -> bool:
        """Wait until the next frame can be read; False if that is not before the deadline."""
        frame, run, faults = session.next_frame, session.run, session.faults
        left_s = max(deadline_s - time.monotonic(), 0.0)
        hangs = faults.hang_at is not None and frame >= faults.hang_at
        if hangs:
            self._spent_faults.add("hang_at")
        if hangs or frame >= self._end_frame(session):
            session.stopped.wait(left_s)
            return False
        delay_ns = faults.delay_ns(run.seed, run.number, self._options.index, frame)
        if session.acquisition.is_paced:
            ready_ns = frame * run.period_ns + run.exposure_ns + delay_ns
            return session.acquisition.wait_past(ready_ns, left_s, session.stopped)
        return not session.stopped.wait(delay_ns * 1e-9)

    def _end_frame(self, session: _Session) -> int:
        return min(session.acquisition.end_frame, self._options.frames or NEVER)

    def _take_frame(self, session: _Session, pixels: npt.NDArray[np.uint16]) -> FrameInfo | None:
        """Write the next frame; None if it is lost."""
        run, faults, index = session.run, session.faults, self._options.index
        while self._is_overwritten(session):
            self._lose_frame(session)
        frame = session.next_frame
        if faults.disconnect_at is not None and frame >= faults.disconnect_at:
            self._spent_faults.add("disconnect_at")
            raise DeviceError(
                f"{self._name} S/N {self.info.serial_number} is gone before frame {frame} of run "
                f"{run.number}: check its cable and power, then start the run again"
            )
        if not session.acquisition.take(index, frame):
            return None
        if faults.loses_frame(run.seed, run.number, index, frame):
            self._lose_frame(session)
            return None
        event = make_event(run, frame)
        sensor = make_sensor(self._model, self._specimen)
        prepared = self._prepared()
        dark = prepared[frame % len(prepared)] if len(prepared) else None
        tracks, bits = event.tracks[session.view], self._options.bits
        lights = draw_frame(pixels, sensor, run, session.view, frame, tracks, bits, dark)
        if faults.stuck_pixels:
            places, values = stuck_pixels(self._model, self._specimen, faults.stuck_pixels)
            pixels[places] = np.minimum(values, 2**self._options.bits - 1)
        self._note_truth(session, frame, lights)
        start_ns, host_ns = frame * run.period_ns, time.time_ns()
        start_ns = faults.on_own_clock(start_ns)
        counter, end_ns = self._counter(session, frame), start_ns + run.exposure_ns
        info = FrameInfo(counter, start_ns, end_ns, host_ns, session.lost)
        session.next_frame, session.lost = frame + 1, 0
        session.acquisition.deliver(index, frame)
        return info

    def _prepared(self) -> npt.NDArray[np.uint16]:
        options = self._options
        return prepared_frames(
            self._model, self._specimen, options.settled_seed, options.prepared_frames
        )

    def _is_overwritten(self, session: _Session) -> bool:
        """Tell whether the driver's buffer no longer holds the next frame."""
        if not session.acquisition.is_paced:
            return False
        since_ns = session.acquisition.now_ns() - session.run.exposure_ns
        exposed = min(since_ns // session.run.period_ns + 1, self._end_frame(session))
        return exposed - session.next_frame > self._options.buffer_frames

    def _lose_frame(self, session: _Session) -> None:
        frame = session.next_frame
        session.next_frame, session.lost = frame + 1, session.lost + 1
        self._note_truth(session, frame, None)
        session.acquisition.deliver(self._options.index, frame)

    def _counter(self, session: _Session, frame: int) -> int:
        skipped = sum(number < frame for number in session.faults.skip_frames)
        return (session.faults.counter_start + frame - skipped) % COUNTERS

    def _note_truth(self, session: _Session, frame: int, lights: list[TrackLight] | None) -> None:
        if session.truth is None:
            return
        try:
            event = make_event(session.run, frame)
            session.truth.add(event, self._counter(session, frame), lights)
        except OSError as error:
            raise self._truth_error(session.run, error) from error

    # set-up ----------------------------------------------------------------------------------

    @property
    def _specimen(self) -> int:
        return 64 * self._options.specimen + self._options.index

    def _declare(self) -> Acquisition:
        """Take part in the acquisition that comes."""
        acquisition = join(self._options.clock)
        rates = DARKNESS if self._options.pedestal else self._options.rates
        acquisition.declare(View(self._options.index, self._model, rates))
        self._declared = acquisition
        return acquisition

    def _plan(self, config: CameraConfig) -> Run:
        exposure_ns = round(config.exposure_s * 1e9)
        fastest_ns = max(MAX_RATE_PERIOD_NS, exposure_ns)
        period_ns = round(1e9 / config.rate_hz) if config.rate_hz else fastest_ns
        return Run(
            seed=self._options.settled_seed,
            number=config.run_number,
            views=(),
            exposure_ns=min(exposure_ns, period_ns),
            period_ns=period_ns,
            veto_ns=round(self._options.veto_us * 1000),
        )

    def _open_truth(self, run: Run, view: int) -> TruthWriter | None:
        if not self._options.truth_dir:
            return None
        try:
            return TruthWriter(Path(self._options.truth_dir), run, view)
        except OSError as error:
            raise self._truth_error(run, error) from error

    def _truth_error(self, run: Run, error: OSError) -> DeviceError:
        return DeviceError(
            f"{self._name} cannot write the truth of run {run.number} to "
            f"{self._options.truth_dir}: {error}. Make room, or correct the option truth_dir."
        )
