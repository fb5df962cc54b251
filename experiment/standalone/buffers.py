"""The event buffers of an experiment: how they are found, made and removed, and who uses them."""

from pathlib import Path

from experiment.constants import STATUS
from experiment.errors import MidasError
from experiment.standalone import ring_layout as layout
from experiment.standalone import segment as files
from experiment.standalone.ring import Ring


def has_clients(ring: Ring) -> bool:
    """Tell whether a living process uses a buffer."""
    with ring.lock:
        ring.slots.bury_the_dead()
        return bool(ring.slots.taken())


def remove_if_unused(directory: Path, name: str, ring: Ring) -> None:
    """Remove a buffer that nobody uses; it is still mapped."""
    if not directory.is_dir():  # somebody removed the whole experiment
        if not has_clients(ring):
            ring.path.unlink(missing_ok=True)
        return
    with files.exclusive(directory):
        is_current = files.where(directory, name) == ring.path
        if is_current and not has_clients(ring):
            files.remove(directory, name)


def attach(directory: Path, name: str, populate: bool = True) -> Ring | None:
    """Map an existing buffer; None if there is none, or only one from before the last boot."""
    place = files.where(directory, name)
    if place is None:
        return None
    try:
        segment = files.open_segment(place, populate)
    except FileNotFoundError:
        return None
    if layout.is_from_earlier_boot(segment):
        segment.close()
        return None
    return _mapped(name, segment)


def _mapped(name: str, segment: files.Segment) -> Ring:
    try:
        return Ring(name, segment)
    except MidasError:
        segment.close()
        raise


def create(directory: Path, name: str, ring_bytes: int) -> Ring:
    """Make a new buffer: in shared memory, or, if there is no room, in the experiment's folder."""
    problems = []
    for place in files.candidates(directory, name):
        try:
            temporary = files.allocate(place, layout.HEADER_BYTES + ring_bytes)
        except OSError as error:
            problems.append(f"{place.parent}: {error.strerror}")
            continue
        fresh = files.open_segment(temporary)
        layout.format_ring(fresh)
        fresh.close()
        temporary.replace(place)
        files.say_where(directory, name, place)
        return _mapped(name, files.open_segment(place))
    raise MidasError(
        STATUS["BM_NO_SHM"],
        f"Event buffer {name} of {ring_bytes} bytes cannot be made ({'; '.join(problems)}): free "
        f"room there or lower /Experiment/Buffer sizes/{name}",
    )


def remove_dead_clients(directory: Path) -> None:
    """Free what dead processes hold in the buffers of an experiment, and buffers without clients.

    :raises MidasError: BM_CORRUPTED.
    """
    for name in files.names(directory):
        with files.exclusive(directory):
            ring = attach(directory, name, populate=False)
            if ring is None:
                continue
            if not has_clients(ring):
                files.remove(directory, name)
            ring.unmap()


def destroy_buffers(directory: Path) -> None:
    """Remove all buffers of an experiment; only when its programs have ended."""
    if not directory.is_dir():
        return
    with files.exclusive(directory):
        for name in files.names(directory):
            files.remove(directory, name)
