"""MIDAS numbers that programs need, under MIDAS's names.

Source: MIDAS ``python/midas/__init__.py`` and ``include/midas.h`` (develop, December 2022).
"""

from typing import Final

STATE_STOPPED: Final = 1
STATE_PAUSED: Final = 2
STATE_RUNNING: Final = 3

MT_ERROR: Final = 1
MT_INFO: Final = 2
MT_DEBUG: Final = 4
MT_USER: Final = 8
MT_LOG: Final = 16
MT_TALK: Final = 32
MT_CALL: Final = 64
MT_ALL: Final = 0xFF

TR_START: Final = 1
TR_STOP: Final = 2
TR_PAUSE: Final = 4
TR_RESUME: Final = 8
TR_STARTABORT: Final = 16

GET_ALL: Final = 1
GET_NONBLOCKING: Final = 2
GET_RECENT: Final = 4

EQ_PERIODIC: Final = 1 << 0
EQ_POLLED: Final = 1 << 1
EQ_SLOW: Final = 1 << 4
EQ_USER: Final = 1 << 8

RO_RUNNING: Final = 1 << 0
RO_STOPPED: Final = 1 << 1
RO_PAUSED: Final = 1 << 2
RO_ALWAYS: Final = 0xFF
RO_ODB: Final = 1 << 8

EVENTID_BOR: Final = 0x8000
EVENTID_EOR: Final = 0x8001
EVENTID_MESSAGE: Final = 0x8002

STATUS: Final = {
    "SUCCESS": 1,
    "CM_NO_CLIENT": 103,
    "CM_SHUTDOWN": 107,
    "CM_DEFERRED_TRANSITION": 110,
    "CM_TRANSITION_IN_PROGRESS": 111,
    "CM_TIMEOUT": 112,
    "CM_INVALID_TRANSITION": 113,
    "BM_CREATED": 202,
    "BM_NO_MEMORY": 203,
    "BM_INVALID_NAME": 204,
    "BM_INVALID_HANDLE": 205,
    "BM_NO_SLOT": 206,
    "BM_ASYNC_RETURN": 209,
    "BM_TRUNCATED": 210,
    "BM_INVALID_PARAM": 215,
    "BM_NO_SHM": 218,
    "BM_CORRUPTED": 219,
    "BM_INVALID_SIZE": 220,
    "DB_NO_KEY": 312,
    "DB_TYPE_MISMATCH": 315,
    "DB_OUT_OF_RANGE": 321,
    "FE_ERR_ODB": 602,
    "FE_ERR_HW": 603,
    "FE_ERR_DRIVER": 605,
}
"""Status codes by name (``midas.status_codes``)."""
