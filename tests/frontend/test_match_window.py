"""Which event a frame belongs to where its camera's count and its time disagree."""

import pytest

from frontend.ring import FrameRing
from hardware.camera import FrameInfo
from tests.frontend.fakes import EXPOSURE_NS, PERIOD_NS, make_layout, make_ring


def index_of_last(window_ns: int, cameras: int, *frames: tuple[int, int]) -> int:
    """Deliver frames (counter, start) of the last camera; return the index of the last one."""
    plain = make_ring(make_layout(cameras), slots=12)
    memories = [slot.memory for slot in plain._free]
    if plain._reserve is not None:
        memories.append(plain._reserve.memory)
    ring = FrameRing(memories, period_ns=PERIOD_NS, window_ns=window_ns)
    camera = cameras - 1
    for counter, start_ns in frames:
        claim = ring.claim(camera)
        info = FrameInfo(counter, start_ns, start_ns + EXPOSURE_NS, 0)
        assert ring.deliver(camera, claim, info)
    return max(ring._open)


@pytest.mark.parametrize(
    ("window_ns", "cameras", "gap", "index"),
    [
        (1000, 2, 3 * PERIOD_NS, 3),  # two triggers were missed uncounted
        (1000, 2, 3 * PERIOD_NS + 999, 3),
        (1000, 2, 3 * PERIOD_NS + 1001, 1),  # no multiple of the period: the count is trusted
        (1000, 2, PERIOD_NS // 2, 1),  # time never makes it less than the count
        (0, 2, 3 * PERIOD_NS, 1),  # the window is off
        (1000, 1, 3 * PERIOD_NS, 1),  # one camera alone has no partner to miss
    ],
)
def test_time_decides_within_the_window(window_ns: int, cameras: int, gap: int, index: int) -> None:
    assert index_of_last(window_ns, cameras, (0, 0), (1, gap)) == index


def test_lost_frames_that_are_counted_are_not_counted_twice() -> None:
    assert index_of_last(1000, 2, (0, 0), (3, 3 * PERIOD_NS)) == 3


def test_drift_between_two_frames_far_apart_changes_nothing() -> None:
    drifted = [(n, n * PERIOD_NS + n * 100) for n in range(10)]
    assert index_of_last(1000, 2, *drifted) == 9
