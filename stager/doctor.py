"""See whether all that staging needs is there, and say what to mend."""

import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from stager import schema
from stager.catalog import Catalog
from stager.configuration import Configuration
from stager.database import missing_file
from stager.discovery import find_files
from stager.disk import look_at_disk
from stager.errors import CatalogError
from stager.findings import Finding, caught, fail, ok, warn
from stager.models import File, Replica, Run, State, now
from stager.probes import check_place, clock_finding
from stager.status import shown_size

_SLOW_S: Final = 1.0
_PROBE_RUN: Final = -1


def examine(configuration: Configuration, connected: bool) -> Iterator[Finding]:
    """Yield what each check finds, as soon as it has.

    :param connected: an experiment is up.
    """
    if connected:
        yield ok("experiment", "is up")
    else:
        yield ok("experiment", "none is up; the stager works without one, and joins it later")
    yield from caught("data folder", lambda: _check_folder(configuration))
    yield from caught("disk", lambda: _check_disk(configuration))
    yield from caught("catalog", lambda: _check_catalog(configuration))
    for place in configuration.places:
        yield from check_place(configuration, place)


def _check_folder(configuration: Configuration) -> Iterator[Finding]:
    folder = configuration.data_dir
    found = find_files(folder)
    size = sum(file.size_bytes for file in found)
    runs = len({file.run_number for file in found})
    yield ok("data folder", f"{folder}: {len(found)} files of {runs} runs, {shown_size(size)}")
    unreadable = [file.path for file in found if not os.access(file.path, os.R_OK)]
    if unreadable:
        yield fail(
            "data folder",
            f"{unreadable[0]} and {len(unreadable) - 1} more cannot be read by this user",
            "run the stager as the user of the logger, or give it its group",
        )
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-"):
            pass
    except OSError as error:
        yield warn(
            "data folder",
            f"nothing can be written into {folder}: {error.strerror}",
            "local files cannot be deleted by cygno-stager prune: give this user the right",
        )


def _check_disk(configuration: Configuration) -> Iterator[Finding]:
    disk = look_at_disk(configuration.data_dir, find_files(configuration.data_dir))
    seen = f"{shown_size(disk.free_bytes)} free, {disk.percent_full:.0f} % full"
    if disk.hours_left is not None:
        seen += f", {disk.hours_left:.1f} h left at {disk.rate_bytes_s / 1e6:.3g} MB/s"
    trouble = disk.trouble(configuration.settings)
    if trouble:
        yield warn("disk", seen, trouble.rpartition("; ")[2])
    else:
        yield ok("disk", seen)


def _check_catalog(configuration: Configuration) -> Iterator[Finding]:
    url = configuration.catalog_url
    if missing_file(url):
        folder = os.path.dirname(missing_file(url)) or "."
        if os.access(folder, os.W_OK):
            yield ok("catalog", f"{missing_file(url)} is not there yet; the first pass makes it")
        else:
            yield fail(
                "catalog",
                f"{missing_file(url)} is not there, and cannot be made",
                f"give this user the right to write into {folder}",
            )
        return
    began = time.monotonic()
    revision = schema.revision_of(url)
    took_s = time.monotonic() - began
    newest = schema.revisions()[-1]
    if revision != newest and (not revision or revision in schema.revisions()):
        yield warn(
            "schema",
            f"{revision or 'none yet'}; this program's is {newest}",
            "the next pass brings it up to date; by hand: cygno-stager catalog migrate",
        )
        return
    catalog = Catalog(url, upgrade=False)
    try:
        with catalog.read() as session:
            version = _server_version(session)
        if took_s > _SLOW_S:
            yield warn("catalog", f"{version}, answers in {took_s:.1f} s", "look at its load")
        else:
            yield ok("catalog", f"{version}, {catalog.shown_url}, answers in {1e3 * took_s:.0f} ms")
        yield ok("schema", f"{revision}, this program's")
        yield from caught("catalog rights", lambda: _check_rights(catalog))
        with catalog.read() as session:
            yield from _check_clock(session)
            yield from _check_rows(session)
    finally:
        catalog.close()


def _server_version(session: Session) -> str:
    if session.get_bind().dialect.name == "sqlite":
        return f"SQLite {session.scalar(text('SELECT sqlite_version()'))}"
    return f"MariaDB {session.scalar(text('SELECT VERSION()'))}"


class _Undo(Exception):  # noqa: N818 - not an error: nothing of the probe is to stay
    pass


def _check_rights(catalog: Catalog) -> Iterator[Finding]:
    """Write a row and take it back, all in one transaction that is not committed."""
    try:
        with catalog.write() as session:
            run = Run(run_number=_PROBE_RUN, tag="probe", created_at=now(), updated_at=now())
            session.add(run)
            session.flush()
            run.note = "probe"
            session.flush()
            session.delete(run)
            session.flush()
            raise _Undo
    except _Undo:
        yield ok("catalog rights", "rows can be written, changed and deleted")
    except CatalogError as error:
        yield fail("catalog rights", str(error))


def _check_clock(session: Session) -> Iterator[Finding]:
    if session.get_bind().dialect.name == "sqlite":
        return
    there = session.scalar(text("SELECT UTC_TIMESTAMP(6)"))
    if isinstance(there, datetime):
        ahead_s = (datetime.now(UTC) - there.replace(tzinfo=UTC)).total_seconds()
        yield clock_finding("catalog clock", ahead_s)


def _check_rows(session: Session) -> Iterator[Finding]:
    copies = select(func.count()).where(Replica.state == State.FAILED)
    optional = session.scalar(copies.where(~Replica.required)) or 0
    failed = session.scalar(copies.where(Replica.required)) or 0
    failed += session.scalar(select(func.count()).where(File.state == State.FAILED)) or 0
    conflicts = session.scalar(select(func.count()).where(Replica.conflict.is_(True))) or 0
    if conflicts:
        yield warn(
            "files",
            f"{conflicts} have another content in their place",
            "cygno-stager status says which; decide with cygno-stager retry",
        )
    elif failed:
        yield warn("files", f"{failed} failed", "cygno-stager status says why and when next")
    elif optional:
        said = f"{optional} failed at optional places"
        yield warn("files", said, "cygno-stager status says why and when next")
    else:
        yield ok("files", "none has failed")
