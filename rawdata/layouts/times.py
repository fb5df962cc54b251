"""Frame counters and times: banks ``FID<i>``, ``TSP<i>`` and ``TIME``, all TID_DWORD.

``FID<i>`` [1] is the camera's cumulative frame count (gaps are lost frames), ``TSP<i>`` [2] the
frame's time in seconds and microseconds. ``TIME`` [1], in the first event of a run of generations B
and C, is the unix time of the first frame; event headers then carry milliseconds since.
Source: CYGNUS-RD/daq ``online/cygnus_fe.cxx``, multi-camera.
"""

from typing import Any, Final

import numpy.typing as npt

from rawdata.build import EventBuilder
from rawdata.errors import LayoutError
from rawdata.event import Event
from rawdata.tid import Tid

TIME_BANK: Final = "TIME"
_NS_A_SECOND: Final = 1_000_000_000
_NS_A_MICROSECOND: Final = 1_000
_MAX_SECONDS: Final = 0xFFFFFFFF


def fid_name(index: int = 0) -> str:
    """Return the name of the frame counter's bank of camera `index`."""
    return f"FID{index}"


def tsp_name(index: int = 0) -> str:
    """Return the name of the frame time's bank of camera `index`."""
    return f"TSP{index}"


def encode_fid(builder: EventBuilder, frame_count: int, index: int = 0) -> None:
    """Append the camera's frame count, modulo 2**32."""
    builder.add(fid_name(index), Tid.DWORD, [frame_count & 0xFFFFFFFF])


def decode_fid(event: Event, index: int = 0) -> int:
    """Return the camera's frame count."""
    return int(_words(event, fid_name(index), 1)[0])


def encode_tsp(builder: EventBuilder, time_ns: int, index: int = 0) -> None:
    """Append a frame's time; it is cut to microseconds.

    :param time_ns: on the camera's clock, 0 to 2**32 s.
    """
    seconds, rest = divmod(time_ns, _NS_A_SECOND)
    if not 0 <= seconds <= _MAX_SECONDS:
        raise LayoutError(f"frame time {time_ns} ns: bank TSP holds 0 to {_MAX_SECONDS} s")
    builder.add(tsp_name(index), Tid.DWORD, [seconds, rest // _NS_A_MICROSECOND])


def decode_tsp(event: Event, index: int = 0) -> int:
    """Return a frame's time on the camera's clock in ns."""
    seconds, microseconds = (int(word) for word in _words(event, tsp_name(index), 2))
    return seconds * _NS_A_SECOND + microseconds * _NS_A_MICROSECOND


def encode_time(builder: EventBuilder, unix_s: int) -> None:
    """Append the unix time of the run's first frame."""
    builder.add(TIME_BANK, Tid.DWORD, [unix_s])


def decode_time(event: Event) -> int:
    """Return the unix time of the run's first frame in seconds."""
    return int(_words(event, TIME_BANK, 1)[0])


def event_time_s(event: Event, time_zero_s: int | None = None) -> float:
    """Return the unix time of an event in seconds.

    :param time_zero_s: what bank TIME of the run's first event says; None for generation A.
    """
    if time_zero_s is None:
        return float(event.timestamp)
    return time_zero_s + event.timestamp / 1000


def _words(event: Event, name: str, count: int) -> npt.NDArray[Any]:
    words = event[name]
    if event.banks[name].tid is not Tid.DWORD or len(words) != count:
        raise LayoutError(
            f"bank {name} holds {len(words)} TID_{event.banks[name].tid.name}, "
            f"wanted {count} TID_DWORD"
        )
    return words
