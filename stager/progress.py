"""How far long steps are, for people."""

from typing import Protocol


class Progress(Protocol):
    """Who shows a person how far long steps are, one of each thread."""

    def begin(self, what: str, total_bytes: int) -> None:
        """Show a new step of this thread."""

    def advance(self, count_bytes: int) -> None:
        """Move this thread's step on."""

    def end(self) -> None:
        """Take this thread's step away."""
