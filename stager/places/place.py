"""What a place for copies can do, whatever kind it is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stager.settings import PlaceSettings
from stager.store import Contents
from stager.upload import Begun
from stager.verify import Verification


@dataclass(frozen=True)
class Subject:
    """A file on its way to a place, or what is meant to be there.

    :param path: local file with exactly this content; it need not exist to ask for a copy.
    :param key: name at the place, ``<TAG>/<file>``.
    :param mtime_ns: of the local file when it was hashed.
    """

    path: Path
    key: str
    contents: Contents
    mtime_ns: int
    md5: str | None = None
    adler32: str | None = None
    run_number: int = 0

    @property
    def name(self) -> str:
        """The name at the place without its folder."""
        return self.key.rpartition("/")[2]


@dataclass(frozen=True)
class Past:
    """What earlier tries left: an upload that was begun, the size of the parts it was sent in.

    :param is_first: nothing was begun yet.
    """

    begun: Begun | None = None
    part_size_bytes: int | None = None
    is_first: bool = True


@dataclass(frozen=True)
class Watch:
    """Who wants to know how it goes.

    :param begun: told what must be known to go on after a kill, and None when that is void.
    :param begin: told of each new step and its bytes.
    :param advance: told of bytes that were read; what it raises ends the step.
    :param sent: told of bytes that were sent; what it raises ends the step.
    :param pulse: called at least every 0.1 s while nothing moves; what it raises ends the step.
    """

    begun: Callable[[Begun | None], None]
    begin: Callable[[str, int], None]
    advance: Callable[[int], None]
    sent: Callable[[int], None]
    pulse: Callable[[], None]


class Place(Protocol):
    """Where copies are kept. Nothing that is there is ever overwritten."""

    name: str
    settings: PlaceSettings

    @property
    def location(self) -> str:
        """Bucket, folder or program, for the catalog."""

    def check(self) -> None:
        """Ask whether it can be used at all, so that what ails all files is said once.

        :raises StoreUnusableError: if not; CredentialsError if keys are refused.
        """

    def bring(self, subject: Subject, past: Past, watch: Watch) -> Verification:
        """Let the file be there, whatever earlier tries left, and prove that it is.

        :raises ConflictError: if another content has its name.
        :raises StagerError: naming what the file or the place lacks.
        """

    def ask(
        self, subject: Subject, past: Past, watch: Watch, *, read_back: bool = False
    ) -> Verification:
        """Ask the place again what it has, and compare.

        :param read_back: read every byte of it.
        :raises MissingError: if nothing is there; ConflictError if it has another content.
        """
