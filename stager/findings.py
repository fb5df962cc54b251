"""What a check found: how it is, what was seen, what to mend."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from stager.errors import StagerError
from stager.masking import masked


class Mood(StrEnum):
    """How something is."""

    OK = "ok"
    WARN = "warn"
    """It works, but a person should look at it."""
    FAIL = "fail"
    """Runs cannot be staged until it is mended."""
    SKIPPED = "skipped"
    """It was not looked at, because something before it failed, or it is not configured."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    check: str
    mood: Mood
    seen: str
    mend: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def ok(check: str, seen: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(check, Mood.OK, masked(seen))


def warn(check: str, seen: str, mend: str) -> Finding:
    """Say that something should be looked at."""
    return Finding(check, Mood.WARN, masked(seen), mend)


def fail(check: str, seen: str, mend: str = "") -> Finding:
    """Say that something must be mended; our errors say how in themselves, after the last ``;``.

    >>> fail("keys", "there are none (mode 0600; JSON)").mend
    'see what was seen'
    """
    seen = masked(seen)
    said, parts, hint = seen.rpartition("; ")
    if mend or not parts or said.count("(") != said.count(")"):
        return Finding(check, Mood.FAIL, seen, mend or "see what was seen")
    return Finding(check, Mood.FAIL, said, hint)


def skipped(check: str, why: str) -> Finding:
    """Say that something was not looked at."""
    return Finding(check, Mood.SKIPPED, why)


def caught(check: str, do: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what a check finds; an error of ours that it raises is a finding, too."""
    try:
        yield from do()
    except StagerError as error:
        yield fail(check, str(error))
    except OSError as error:
        yield fail(check, str(error), "look at rights and mounts")
