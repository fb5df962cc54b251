"""Values of ctypes for the contract tests."""

import ctypes
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class InC:
    """A ctypes array, which does not travel through a pipe: it is made over there."""

    ctype: Any
    values: tuple[Any, ...] | bytes
    length: int

    def make(self) -> Any:
        if isinstance(self.values, bytes):
            return ctypes.create_string_buffer(self.values, self.length)
        return (self.ctype * self.length)(*self.values)
