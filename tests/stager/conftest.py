"""One real S3 server for all tests of the stager; each test has a folder and tag of its own."""

import itertools
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sim.s3 import S3Server
from tests.stager.mariadb import MariaDb, start_server
from tests.stager.staging import Folder
from tests.stager.tape import Tape

if TYPE_CHECKING:
    from tests.stager.access import Site

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The embedded S3 server."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    """One real MariaDB server for all tests."""
    with tempfile.TemporaryDirectory(prefix="mariadb") as folder:
        server = start_server(Path(folder))
        try:
            yield server
        finally:
            server.kill()


@pytest.fixture
def tape(tmp_path: Path) -> Tape:
    """A tape that is a program."""
    return Tape(tmp_path)


@pytest.fixture(params=["sqlite", "mariadb"])
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database of each kind that a catalog may be in."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/catalog.sqlite"
    server: MariaDb = request.getfixturevalue("mariadb")
    return server.url(server.new_database())


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the developer's shell says out of the tests."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CYGNO_EXPERIMENT", "OIDC_SOCK"):
        monkeypatch.delenv(name, raising=False)
    for name in os.environ:
        if name.startswith(("CYGNO_STAGER_", "CYGNO_S3_", "CYGNO_OIDC_")):
            monkeypatch.delenv(name)


@pytest.fixture
def folder(s3: S3Server, tmp_path: Path) -> Folder:
    """An experiment's folder with nothing in it but the keys of the server."""
    return make_folder(s3, tmp_path / "experiment")


def make_folder(s3: S3Server, path: Path) -> Folder:
    """Make an experiment's folder that stages to this server."""
    (path / "data").mkdir(parents=True)
    (path / "s3").mkdir()
    access = asdict(s3.access)
    keys = path / "s3" / "credentials.json"
    keys.touch(0o600)
    keys.write_text(json.dumps(access))
    return Folder(path, f"T{next(_numbers)}", access)


@pytest.fixture(scope="session")
def _site(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Site]":
    """An issuer and a server with STS, for all tests."""
    from tests.stager.access import Site, iam
    from tests.stager.issuer import Issuer, serve

    with serve(Issuer()) as issuer:
        folder = tmp_path_factory.mktemp("sts")
        server = S3Server(folder, bucket="daq", iam=iam(issuer.url, "daq"))
        server.start()
        try:
            yield Site(issuer, server)
        finally:
            server.kill()


@pytest.fixture
def site(_site: "Site") -> "Site":
    """The issuer, without the faults of other tests, and the server that trusts it."""
    from stager.credentials import choose
    from tests.stager.issuer import Issuer

    choose._sessions.clear()
    fresh, issuer = Issuer(), _site.issuer
    for name in ("life_s", "audience", "rotate", "down"):
        setattr(issuer, name, getattr(fresh, name))
    issuer.grants.clear()
    return _site


@pytest.fixture
def place(site: "Site", tmp_path: Path) -> Folder:
    """An experiment's folder whose server has STS; the folder's own client has other keys."""
    folder = make_folder(site.server, tmp_path / "experiment")
    (folder.path / "s3" / "credentials.json").unlink()
    return folder


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """A folder as second place."""
    path = tmp_path / "second"
    path.mkdir()
    return path
