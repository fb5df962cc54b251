"""Memory for the ring: taken from the system and touched before a run begins."""

import mmap
from contextlib import suppress

import numpy as np

_PAGE = mmap.PAGESIZE


def allocate_slots(slots: int, slot_bytes: int, touched_bytes: int) -> list[memoryview]:
    """Return memory of `slots` slots, each beginning on a page of its own.

    :param touched_bytes: as much of each slot is mapped now, not when the first frame arrives; the
        rest, room for rare events with many triggers, when it is needed.
    :raises MemoryError: if the system has not that much.
    """
    stride = -(-slot_bytes // _PAGE) * _PAGE
    try:
        whole = mmap.mmap(-1, slots * stride)
    except OSError as error:
        raise MemoryError(f"no memory for a ring of {slots} slots of {slot_bytes} bytes") from error
    with suppress(OSError, AttributeError):  # a frame is 2592 small pages, or 6 huge ones
        whole.madvise(mmap.MADV_HUGEPAGE)
    pages = np.frombuffer(whole, np.uint8).reshape(slots, stride)
    pages[:, :touched_bytes:_PAGE] = 0
    view = memoryview(whole)
    return [view[slot * stride : slot * stride + slot_bytes] for slot in range(slots)]
