"""Places that are reached by programs of the site: tape, grid storage (gfal, xrdcp, rucio)."""

import hashlib
import re
import shlex
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from rawdata.checksum import crc32c
from stager.crash import reached
from stager.errors import (
    ConfigurationError,
    ConflictError,
    MissingError,
    StoreError,
    StoreUnusableError,
)
from stager.hashing import hash_file
from stager.places.place import Past, Subject, Watch
from stager.places.program import Ended, end_left_over, run_program
from stager.settings import PlaceSettings
from stager.store import Contents
from stager.upload import Begun
from stager.verify import Verification

CHECKSUMS: Final = ("sha256", "md5", "crc32c", "adler32")
"""What a check may print, the strongest first."""


@dataclass
class CommandPlace:
    """A place that programs bring files to, ask, read and remove from."""

    name: str
    settings: PlaceSettings
    scratch: Path
    """Where files are read back to."""

    @property
    def location(self) -> str:
        """The program that brings files there."""
        words = shlex.split(self.settings.put)
        return words[0] if words else ""

    @cached_property
    def _pattern(self) -> "re.Pattern[str]":
        return re.compile(self.settings.pattern, re.MULTILINE)

    def check(self) -> None:
        """See that it can be used: programs have nothing to ask in general."""
        try:
            unknown = set(self._pattern.groupindex) - {"size", *CHECKSUMS}
        except re.error as error:
            raise ConfigurationError(
                f"place {self.name}: the check pattern {self.settings.pattern!r} is no regular "
                f"expression: {error}"
            ) from error
        if unknown:
            raise ConfigurationError(
                f"place {self.name}: the check pattern has the groups {', '.join(unknown)}; "
                f"allowed: size {' '.join(CHECKSUMS)}"
            )
        if not self.settings.put or not self.settings.check:
            raise ConfigurationError(f"place {self.name}: Put and Check must be given")

    def bring(self, subject: Subject, past: Past, watch: Watch) -> Verification:
        """Run Put where nothing is there yet, then Check."""
        ours = past.begun is not None
        if past.begun is not None:
            end_left_over(past.begun.upload_id)
        try:
            # What is there under a name at which we have found nothing is what we were bringing.
            return self._take_what_is_there(subject, past, watch, ours)
        except MissingError:
            pass
        watch.begin(f"sending {subject.name} to {self.name}", subject.contents.size_bytes)

        def note(identity: str) -> None:
            watch.begun(Begun(identity, 0))
            reached("command-noted")

        ended = self._run(self.settings.put, subject, watch, note)
        reached("command-done")
        watch.sent(subject.contents.size_bytes if ended.code == 0 else 0)
        if ended.code != 0:
            raise StoreError(
                f"{self._shown(subject)}: {ended.shown} failed with exit code {ended.code}: "
                f"{ended.last_line}"
            )
        try:
            found = self.ask(subject, past, watch)
        except MissingError as error:
            raise StoreError(
                f"{self._shown(subject)}: {ended.shown} ended with success, but Check says that "
                "nothing is there"
            ) from error
        except ConflictError as error:
            removed = self._remove(subject, watch)
            raise StoreError(
                f"{error}; it is what Put has just brought there; {removed}"
            ) from error
        reached("object-done")
        return found

    def ask(
        self, subject: Subject, past: Past, watch: Watch, *, read_back: bool = False
    ) -> Verification:
        """Run Check and compare what it prints; with `read_back` run Get and compare all bytes."""
        ended = self._run(self.settings.check, subject, watch)
        if ended.code != 0:
            missing = ended.code in self.settings.missing_codes or (
                self.settings.missing_text and self.settings.missing_text in ended.output
            )
            if missing:
                raise MissingError(f"{self._shown(subject)}: nothing is there")
            raise StoreError(
                f"{self._shown(subject)} could not be asked for: {ended.shown} failed with exit "
                f"code {ended.code}: {ended.last_line}"
            )
        if read_back:
            return self._read_back(subject, watch)
        match = self._pattern.search(ended.output)
        said = {name: text for name, text in (match.groupdict() if match else {}).items() if text}
        return self._compare(said, subject, watch)

    def _take_what_is_there(
        self, subject: Subject, past: Past, watch: Watch, ours: bool
    ) -> Verification:
        try:
            return self.ask(subject, past, watch)
        except ConflictError as error:
            if not ours:
                raise
            if not self.settings.delete:
                raise ConflictError(
                    f"{error}. It may be what a Put that was cut short has left: remove it there, "
                    "or give place a Delete command"
                ) from error
            self._remove(subject, watch)
            watch.begun(None)
            raise MissingError(
                f"{self._shown(subject)}: what was left of it was removed"
            ) from error

    def _remove(self, subject: Subject, watch: Watch) -> str:
        """Remove what we have brought ourselves; say what came of it."""
        if not self.settings.delete:
            return "remove it there (the place has no Delete command)"
        ended = self._run(self.settings.delete, subject, watch)
        if ended.code != 0:
            return f"{ended.shown} could not remove it: {ended.last_line}"
        return "it was removed, and is tried again later"

    def _compare(self, said: dict[str, str], subject: Subject, watch: Watch) -> Verification:
        size = subject.contents.size_bytes
        if "size" in said and int(said["size"]) != size:
            raise self._conflict(subject, f"{said['size']} bytes there, {size} here")
        for algorithm in CHECKSUMS:
            if algorithm not in said:
                continue
            there = said[algorithm].lower().removeprefix("0x")
            here = self._checksum(subject, algorithm, watch)
            if here is None:
                continue
            if there.zfill(len(here)) != here:
                raise self._conflict(subject, f"{algorithm} {there} there, {here} here")
            return Verification(size, algorithm.upper(), here, "check command")
        if "size" in said:
            return Verification(size, "", "", "size only")
        return Verification(size, "", "", "existence only")

    def _read_back(self, subject: Subject, watch: Watch) -> Verification:
        if not self.settings.get:
            raise StoreUnusableError(
                f"place {self.name} has no Get command, so nothing can be read back from it"
            )
        self.scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="get-", dir=self.scratch) as folder:
            local = Path(folder) / subject.name
            ended = self._run(self.settings.get, subject, watch, file=local)
            if ended.code != 0 or not local.exists():
                raise StoreError(
                    f"{self._shown(subject)} could not be read back: {ended.shown} ended with exit "
                    f"code {ended.code}: {ended.last_line}"
                )
            hashes = hash_file(local, watch.advance)
        found = Contents(hashes.size_bytes, hashes.sha256, hashes.crc32c)
        if found != subject.contents:
            raise self._conflict(
                subject,
                f"{found.size_bytes} bytes, CRC32C {found.crc32c} there, "
                f"{subject.contents.size_bytes} bytes, CRC32C {subject.contents.crc32c} here",
            )
        return Verification(found.size_bytes, "CRC32C", found.crc32c, "read back")

    def _checksum(self, subject: Subject, algorithm: str, watch: Watch) -> str | None:
        """Return a checksum of the content that is meant, None if nobody knows it any more."""
        known = {
            "sha256": subject.contents.sha256,
            "crc32c": subject.contents.crc32c,
            "md5": subject.md5,
            "adler32": subject.adler32,
        }[algorithm]
        if known or not subject.path.exists():
            return known
        return _compute(subject.path, algorithm, watch)

    def _conflict(self, subject: Subject, difference: str) -> ConflictError:
        return ConflictError(
            f"{self._shown(subject)} exists and has another content than {subject.path.name} "
            f"({difference}); it was not overwritten"
        )

    def _shown(self, subject: Subject) -> str:
        return f"place {self.name}: {subject.key}"

    def _run(
        self,
        template: str,
        subject: Subject,
        watch: Watch,
        started: Callable[[str], None] = lambda identity: None,
        file: Path | None = None,
    ) -> Ended:
        dear = [name for name in ("md5", "adler32") if f"{{{name}}}" in template]
        values = {
            "file": file or subject.path,
            "name": subject.name,
            "key": subject.key,
            "size": subject.contents.size_bytes,
            "sha256": subject.contents.sha256,
            "crc32c": subject.contents.crc32c,
            "md5": "",
            "adler32": "",
            "run": subject.run_number,
            **{name: self._checksum(subject, name, watch) or "" for name in dear},
        }
        return run_program(template, values, self.settings.timeout_s, watch.pulse, started)


def _compute(path: Path, algorithm: str, watch: Watch) -> str:
    adler, crc, md5 = 1, 0, hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            adler = zlib.adler32(block, adler)
            crc = crc32c(block, crc)
            md5.update(block)
            watch.pulse()
    return {"adler32": f"{adler:08x}", "crc32c": f"{crc:08x}", "md5": md5.hexdigest()}[algorithm]
