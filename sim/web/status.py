"""Status codes that pages get where a program would get an exception."""

from typing import Final

from experiment.errors import MidasError

SUCCESS: Final = 1
DB_INVALID_PARAM: Final = 309
DB_NO_KEY: Final = 312
DB_TYPE_MISMATCH: Final = 315
DB_FILE_ERROR: Final = 317
DB_OUT_OF_RANGE: Final = 321

OdbErrors: Final = (KeyError, TypeError, ValueError, MidasError)


def status_of(error: Exception) -> int:
    """Return the MIDAS status that says what an exception of the ODB says."""
    if isinstance(error, MidasError):
        return error.code
    if isinstance(error, KeyError):
        return DB_NO_KEY
    return DB_TYPE_MISMATCH if isinstance(error, TypeError) else DB_INVALID_PARAM
