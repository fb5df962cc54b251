"""Places that are buckets of S3 servers."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from stager.crash import reached
from stager.errors import MissingError, StoreError
from stager.parts import MIB
from stager.places.place import Past, Subject, Watch
from stager.settings import PlaceSettings
from stager.store import RemoteObject, Store
from stager.upload import AlreadyThereError, Begun, Upload, abandon_strays, give_up
from stager.upload import Watch as UploadWatch
from stager.verify import Verification, verify

_NOTHING_THERE: Final = "has nothing under this name"


@dataclass
class S3Place:
    """A bucket.

    :param store: its client, with keys and settings of this place.
    """

    name: str
    settings: PlaceSettings
    store: Store

    @property
    def location(self) -> str:
        """The bucket."""
        return self.store.settings.bucket

    def check(self) -> None:
        """Ask the server for the bucket."""
        self.store.check()

    def bring(self, subject: Subject, past: Past, watch: Watch) -> Verification:
        """Send what is not there yet, in parts that are gone on with; then ask the server."""
        key, begun = subject.key, past.begun
        if (
            not past.is_first
            and begun is None
            and subject.contents.size_bytes > self.store.settings.part_size_mib * MIB
        ):
            abandon_strays(self.store, key)
        remote = self.store.find(key)
        if remote is None:
            remote, past = self._upload(subject, past, watch)
        elif begun is not None:
            give_up(self.store, key, begun)  # a no-op where the object is what this became
        if remote is None:
            raise StoreError(
                f"{self.store.object_name(key)} was sent, and {self.store.settings.endpoint} "
                "accepted it, but does not have it now"
            )
        reached("object-done")
        return self._compare(remote, subject, past, watch)

    def ask(
        self, subject: Subject, past: Past, watch: Watch, *, read_back: bool = False
    ) -> Verification:
        """Ask the server for size and checksum, or for every byte."""
        remote = self.store.find(subject.key)
        if remote is None:
            name = self.store.object_name(subject.key)
            raise MissingError(f"{name}: {self.store.settings.endpoint} {_NOTHING_THERE}")
        if read_back:
            remote = replace(remote, crc32c=None, composite=None)
        return self._compare(remote, subject, past, watch)

    def _compare(
        self, remote: RemoteObject, subject: Subject, past: Past, watch: Watch
    ) -> Verification:
        watch.begin(f"verifying {subject.name}", subject.contents.size_bytes)
        return verify(
            self.store,
            subject.path if subject.path.exists() else None,
            remote,
            subject.contents,
            past.part_size_bytes,
            watch.advance,
        )

    def _upload(
        self, subject: Subject, past: Past, watch: Watch
    ) -> tuple[RemoteObject | None, Past]:
        part_size_bytes = past.part_size_bytes

        def note(begun: Begun | None) -> None:
            nonlocal part_size_bytes
            watch.begun(begun)
            part_size_bytes = begun.part_size_bytes if begun else None

        watch.begin(f"sending {subject.name}", subject.contents.size_bytes)
        sending = UploadWatch(begun=note, sent=watch.sent, pulse=watch.pulse)
        path, key = Path(subject.path), subject.key
        try:
            Upload(self.store, path, key, subject.contents, subject.mtime_ns, sending).run(
                past.begun
            )
        except AlreadyThereError:
            pass  # somebody was faster; whether with the same content, we ask now
        return self.store.find(key), replace(past, part_size_bytes=part_size_bytes)
