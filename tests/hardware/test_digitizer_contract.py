"""What `hardware.digitizer` promises, on every board.

Simulated boards trigger on simulated particles, so a simulated camera runs beside; a real board
needs a pulser or its PMTs.
"""

from collections.abc import Iterator

import numpy as np
import pytest

from hardware.camera import CameraConfig
from hardware.digitizer import TRIGGER_DTYPE, Digitizer, DigitizerConfig
from hardware.errors import DeviceError
from hardware.registry import open_device
from tests.conftest import wait_until
from tests.hardware.conftest import devices


@pytest.fixture(params=devices("digitizers"))
def board(request: pytest.FixtureRequest) -> Iterator[Digitizer]:
    device = open_device("digitizers", request.param)
    yield device
    device.ensure_stopped()


@pytest.fixture
def triggering() -> Iterator[None]:
    """Let particles come, 20 in 20 ms, as soon as the boards are started."""
    camera = open_device("cameras", "sim:32x32", seed=1, rates={"iron": 20}, frames=500)
    camera.ensure_ready(CameraConfig(exposure_s=0.02, rate_hz=50))
    camera.start_acquiring()
    yield
    camera.ensure_stopped()


def config(board: Digitizer) -> DigitizerConfig:
    """Return settings that the board knows: of the V1742, and of any other."""
    for samples in (1024, 4000):
        made = DigitizerConfig(samples=samples, run_number=1)
        board.ensure_ready(made)
        if board.info.samples == samples:
            return made
    raise AssertionError("the board has neither 1024 nor 4000 samples")


def buffers(board: Digitizer, count: int) -> tuple[np.ndarray, np.ndarray]:
    shape = (count, board.info.channels, board.info.samples)
    return np.zeros(shape, np.uint16), np.zeros(count, TRIGGER_DTYPE)


class TestDigitizer:
    def test_it_says_what_it_is(self, board: Digitizer) -> None:
        board.ensure_ready(config(board))
        info = board.info
        assert info.model in ("V1742", "V1720E")
        assert info.channels % 8 == 0
        assert 0 < info.sample_period_ns < 100
        assert info.time_tag_ns > 0
        assert info.bits == 12

    def test_triggers_come_in_order_and_their_time_is_complete(
        self, board: Digitizer, triggering: None
    ) -> None:
        board.ensure_ready(config(board))
        board.start_acquiring()
        waveforms, triggers = buffers(board, 4)
        complete_ns, last_ns, count, lost = 0, -1, 0, 0

        def has_enough() -> bool:
            nonlocal complete_ns, last_ns, count, lost
            readout = board.read_into(waveforms, triggers, 0.2)
            lost += readout.lost
            for time_ns in triggers["time_ns"][: readout.triggers]:
                assert time_ns >= max(complete_ns, last_ns)
                last_ns = int(time_ns)
            assert readout.complete_until_ns >= max(complete_ns, last_ns if readout.triggers else 0)
            complete_ns = readout.complete_until_ns
            count += readout.triggers
            return count >= 20

        wait_until(has_enough, 20, "20 triggers")
        assert lost == 0

    def test_samples_are_written_within_the_range(self, board: Digitizer, triggering: None) -> None:
        board.ensure_ready(config(board))
        board.start_acquiring()
        waveforms, triggers = buffers(board, 8)
        waveforms[:] = 65535

        def has_triggers() -> bool:
            return self._written(board, waveforms, triggers) > 0

        wait_until(has_triggers, 20, "triggers")

    def _written(self, board: Digitizer, waveforms: np.ndarray, triggers: np.ndarray) -> int:
        readout = board.read_into(waveforms, triggers, 0.5)
        assert waveforms[: readout.triggers].max(initial=0) < 2**board.info.bits
        assert np.all(waveforms[readout.triggers :] == 65535)
        assert np.all(triggers["start_cell"][: readout.triggers] < 1024)
        assert np.all(triggers["counter"][: readout.triggers] < 2**24)
        return readout.triggers

    def test_after_idle_what_was_recorded_is_read_and_then_nothing(
        self, board: Digitizer, triggering: None
    ) -> None:
        board.ensure_ready(config(board))
        board.start_acquiring()
        waveforms, triggers = buffers(board, 4)
        wait_until(lambda: board.read_into(waveforms, triggers, 0.2).triggers, 20, "a trigger")
        assert board.wait_for_idle(5.0)
        rest = 0
        while (readout := board.read_into(waveforms, triggers, 0.05)).triggers:
            rest += readout.triggers
            assert rest < 10_000, "triggers go on after wait_for_idle"
        assert board.read_into(waveforms, triggers, 0.05).triggers == 0

    def test_reading_returns_when_nothing_comes(self, board: Digitizer) -> None:
        board.ensure_ready(config(board))
        board.start_acquiring()
        waveforms, triggers = buffers(board, 1)
        assert board.read_into(waveforms, triggers, 0.01).lost == 0

    def test_stopping_is_possible_in_every_state_and_twice(self, board: Digitizer) -> None:
        board.ensure_stopped()
        made = config(board)
        board.ensure_stopped()
        board.ensure_ready(made)
        board.start_acquiring()
        board.ensure_stopped()
        board.ensure_stopped()

    def test_what_it_cannot_do_is_refused_in_words(self, board: Digitizer) -> None:
        with pytest.raises(DeviceError, match="samples is 0; allowed"):
            board.ensure_ready(DigitizerConfig(samples=0))
        with pytest.raises(DeviceError, match="no option nonsense"):
            board.ensure_ready(DigitizerConfig(options={"nonsense": 1}))
