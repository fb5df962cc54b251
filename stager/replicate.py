"""Bring one file to one place: transcode it where that is wanted, bring it there, prove it."""

import shutil
from pathlib import Path

from rawdata.checksum import data_path
from rawdata.compressors import SUFFIXES
from stager.crash import reached
from stager.errors import FileError, MissingError
from stager.hashing import hash_file
from stager.job import Job
from stager.ledger import Ledger
from stager.models import File, Replica, State
from stager.places.configured import find_place
from stager.places.place import Past, Place, Subject, Watch
from stager.store import Contents
from stager.transcoding import transcode, wanted
from stager.upload import Begun
from stager.verify import Verification


def bring_there(
    ledger: Ledger, place: Place, file: File, replica: Replica, scratch: Path, job: Job
) -> Verification:
    """Let a claimed replica be there, and prove that it is.

    :param scratch: folder for transcoded files; this replica's is below it.
    :raises StagerError: naming what the file or the place lacks.
    """
    watch = watch_of(ledger, replica, job)
    past = past_of(replica)
    if replica.transcoded:
        replica, found = _prepare(ledger, place, file, replica, scratch, watch, job)
        if found is not None:
            return found
        past = past_of(replica) if replica.upload_id else Past(is_first=past.is_first)
    ledger.commit_uploading(replica.id, past.begun)
    reached("upload-claimed")
    return place.bring(subject_of(file, replica, scratch), past, watch)


def _prepare(
    ledger: Ledger,
    place: Place,
    file: File,
    replica: Replica,
    scratch: Path,
    watch: Watch,
    job: Job,
) -> tuple[Replica, Verification | None]:
    """Let the transcoded file stand in the scratch folder, unless the place has it already."""
    folder = scratch / str(replica.id)
    subject = subject_of(file, replica, scratch)
    if replica.content_sha256:
        try:
            return replica, place.ask(subject, past_of(replica), watch)
        except MissingError:
            pass
        if _stands(subject, job):
            return replica, None
    configured = find_place(ledger.places, place.name)
    how = wanted(file, configured) if configured else None
    if how is None or how.name != subject.path.name:
        raise FileError(
            f"place {place.name} wanted {file.name} as {replica.transcoded}, but is configured "
            "otherwise now; set it as it was until this file is there"
        )
    job.begin(f"transcoding {file.name} for {place.name}", file.size_bytes)
    hashes, stream_crc32c = transcode(file, how, folder, job.advance)
    ledger.commit_transcoded(replica.id, hashes, stream_crc32c)
    reached("transcode-committed")
    replica.content_bytes = hashes.size_bytes
    replica.content_sha256, replica.content_crc32c = hashes.sha256, hashes.crc32c
    replica.upload_id = replica.part_size_bytes = None
    return replica, None


def clear_scratch(replica: Replica, scratch: Path) -> None:
    """Remove the transcoded file of a replica that is verified."""
    if replica.transcoded:
        shutil.rmtree(scratch / str(replica.id), ignore_errors=True)


def _stands(subject: Subject, job: Job) -> bool:
    try:
        hashes = hash_file(subject.path, job.advance)
    except FileError:
        return False
    return (hashes.size_bytes, hashes.sha256) == (
        subject.contents.size_bytes,
        subject.contents.sha256,
    )


def subject_of(file: File, replica: Replica, scratch: Path) -> Subject:
    """Return what is meant to be at a place, and where its bytes are."""
    if not replica.transcoded:
        return Subject(
            path=Path(file.path),
            key=str(replica.object_key),
            contents=Contents(file.size_bytes, str(file.sha256), str(file.crc32c)),
            mtime_ns=file.mtime_ns,
            md5=file.md5,
            adler32=file.adler32,
            run_number=file.run_number,
        )
    path = scratch / str(replica.id) / transcoded_name(file, replica)
    return Subject(
        path=path,
        key=str(replica.object_key),
        contents=Contents(
            replica.content_bytes or 0, str(replica.content_sha256), str(replica.content_crc32c)
        ),
        mtime_ns=path.stat().st_mtime_ns if path.exists() else 0,
        run_number=file.run_number,
    )


def transcoded_name(file: File, replica: Replica) -> str:
    """Return the name of a transcoded file, whatever its object is called."""
    compression = str(replica.transcoded).rpartition(" ")[2]
    return data_path(Path(file.path)).name + SUFFIXES[compression]


def past_of(replica: Replica) -> Past:
    """Return what earlier tries have left."""
    begun = Begun(replica.upload_id, replica.part_size_bytes or 0) if replica.upload_id else None
    return Past(begun, replica.part_size_bytes, is_first=replica.state == State.HASHED)


def watch_of(ledger: Ledger, replica: Replica, job: Job) -> Watch:
    """Return who wants to know how it goes: the catalog, the person, whoever asks us to end."""

    def note(begun: Begun | None) -> None:
        ledger.commit_uploading(replica.id, begun)

    return Watch(begun=note, begin=job.begin, advance=job.advance, sent=job.send, pulse=job.pulse)


def watch_to_ask(job: Job) -> Watch:
    """Return who wants to know how asking for a copy goes: nothing is brought anywhere."""
    return Watch(
        begun=lambda begun: None,
        begin=job.begin,
        advance=job.advance,
        sent=job.send,
        pulse=job.pulse,
    )
