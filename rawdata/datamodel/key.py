"""How the data model names a key of the ODB."""

from dataclasses import dataclass

from rawdata.tid import Tid


@dataclass(frozen=True)
class OdbKey:
    """One key of the ODB."""

    path: str
    tid: Tid
    meaning: str
    unit: str = ""
    count: int = 1
    """Number of values; 0 is any."""
