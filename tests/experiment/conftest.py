"""Fixtures of the contract tests: a world, and programs in it; and event buffers of their own."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiment.standalone.buffer import EventBuffer
from experiment.standalone.buffers import destroy_buffers
from tests.experiment.peer import Peer
from tests.experiment.worlds import MidasWorld, StandaloneWorld, World, why_no_midas

BUFFER_BYTES = 16 * 1024
Opener = Callable[..., EventBuffer]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need a MIDAS where there is none."""
    why = why_no_midas()
    for item in items:
        if why and item.get_closest_marker("midas"):
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(
    scope="session", params=["standalone", pytest.param("midas", marks=pytest.mark.midas)]
)
def lasting_world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The experiment that all contract tests share, once in each world."""
    # A short path: MIDAS makes it part of the names of its shared memory.
    with tempfile.TemporaryDirectory(prefix="cx-") as folder:
        if request.param == "midas":
            world: World = MidasWorld(Path(folder))
        else:
            world = StandaloneWorld(Path(folder, "experiment"))
        try:
            world.set_up()
            yield world
        finally:
            world.close()


@pytest.fixture
def world(lasting_world: World) -> Iterator[World]:
    """The shared experiment; afterwards peers have forgotten all and ``/test`` is deleted."""
    yield lasting_world
    lasting_world.clean()


@pytest.fixture
def client(world: World) -> Peer:
    """A program in the experiment."""
    return world.peer("alpha")


@pytest.fixture
def other(world: World) -> Peer:
    """A second program in the experiment."""
    return world.peer("beta")


@pytest.fixture
def standalone(tmp_path: Path) -> Iterator[StandaloneWorld]:
    """A standalone experiment for one test, whose server may be killed."""
    with StandaloneWorld(tmp_path / "experiment") as world:
        yield world


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A folder for event buffers."""
    yield tmp_path / "buffers"
    destroy_buffers(tmp_path / "buffers")


@pytest.fixture
def opened(directory: Path) -> Iterator[Opener]:
    """Opens event buffers there, which are closed at the end."""
    buffers = []

    def open_it(
        client: str = "test", size: int = BUFFER_BYTES, name: str = "SYSTEM"
    ) -> EventBuffer:
        buffers.append(EventBuffer.open(directory, name, size, client))
        return buffers[-1]

    yield open_it
    for buffer in buffers:
        buffer.close()


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneWorld]:
    """An experiment that several tests share; its server lives through all of them."""
    with StandaloneWorld(tmp_path_factory.mktemp("calm") / "experiment") as world:
        yield world
