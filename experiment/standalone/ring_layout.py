"""What lies where in a ring in shared memory: words of its header, of clients' slots, of records.

All are 8-byte words. The header comes first, clients' slots are in it, records follow after it.
"""

from enum import IntEnum

from experiment.constants import GET_ALL, GET_NONBLOCKING, GET_RECENT
from experiment.standalone.segment import Segment, boot_number

MAGIC = int.from_bytes(b"CYGNOBUF", "little")
VERSION = 1
MARK = 0xEC0_4D1DA5_00  # first word of each record, its state in the last byte
ALIGN = 64  # one cache line; events start on one
RECORD_WORDS = 8
RECORD_BYTES = 8 * RECORD_WORDS

# Words of the header page.
W_MAGIC, W_VERSION, W_FILE_BYTES, W_RING_START, W_RING_BYTES, W_BOOT, W_SLOTS = range(7)
W_HEAD, W_TAIL, W_EVENTS, W_BYTES, W_SLOTS_USED = range(8, 13)
# Words of a client's slot.
S_PID, S_STARTED, S_NAME = 0, 1, 2
S_POSITION, S_PINNED = 6, 7
S_SENT, S_SENT_BYTES, S_RECEIVED, S_RECEIVED_BYTES, S_SKIPPED, S_WAITED_NS = range(8, 14)
S_REQUESTS = 14  # how many of the requests below have ever been used
S_REQUEST = 16  # then REQUEST_COUNT times: sampling type (0: free), key, since, -
REQUEST_COUNT = 10  # MIDAS MAX_EVENT_REQUESTS
SLOT_WORDS = 64
SLOT_COUNT = 120
SLOTS_START = 64  # words; the header before them has room to grow
HEADER_BYTES = 16 * 4096
# Words of a record's header.
R_STATE, R_LENGTH, R_SIZE, R_PID, R_STARTED, R_KEY, R_TIME_NS, R_POSITION = range(8)

RECENT_NS = 1_000_000_000  # GET_RECENT: not older than one second, MIDAS bm_check_requests
ALL_BITS = 0xFFFF  # -1 in 16 bits: any event id, any trigger mask
SAMPLING_TYPES = (GET_ALL, GET_NONBLOCKING, GET_RECENT)


class State(IntEnum):
    """What a record holds."""

    RESERVED = 1
    """A writer is copying into it; readers wait, for the order's sake."""
    COMMITTED = 2
    VOID = 3
    """Its writer gave up or died."""
    FILLER = 4
    """Nothing: the rest of the ring's end, too short for the next event."""


def key_of(event_id: int, trigger_mask: int) -> int:
    """Return event id and trigger mask as they stand first in an event's header."""
    return (event_id & ALL_BITS) | (trigger_mask & ALL_BITS) << 16


def matches(request_key: int, event_key: int) -> bool:
    """Tell whether a request wants an event (MIDAS ``bm_match_event``).

    >>> matches(key_of(1, -1), key_of(1, 0)), matches(key_of(-1, 2), key_of(7, 1))
    (True, False)
    """
    wanted_id, wanted_mask = request_key & ALL_BITS, request_key >> 16
    return wanted_id in (ALL_BITS, event_key & ALL_BITS) and (
        wanted_mask == ALL_BITS or wanted_mask & event_key >> 16 != 0
    )


def format_ring(segment: Segment) -> None:
    """Write the header of a new ring; the magic word comes last."""
    words = segment.words
    words[W_VERSION] = VERSION
    words[W_FILE_BYTES] = segment.size_bytes
    words[W_RING_START] = HEADER_BYTES
    words[W_RING_BYTES] = segment.size_bytes - HEADER_BYTES
    words[W_BOOT] = boot_number()
    words[W_SLOTS] = SLOT_COUNT
    words[W_MAGIC] = MAGIC


def is_from_earlier_boot(segment: Segment) -> bool:
    """Tell whether a ring was left by a boot before this one: then nobody uses it."""
    return segment.words[W_MAGIC] == MAGIC and segment.words[W_BOOT] != boot_number()
