"""A real MariaDB for the tests: one server a session, each test with a database of its own."""

import itertools
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import free_port, wait_until

USER, PASSWORD = "daq", "p@ss/word"
_numbers = itertools.count(1)


class MariaDb:
    """A server in a folder of its own, on 127.0.0.1.

    :param folder: with a short path: that of a socket has 107 characters at most.
    """

    def __init__(self, folder: Path) -> None:
        import MySQLdb

        self._library = MySQLdb
        self._folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._as_root = ["--user=root"] if os.geteuid() == 0 else []
        install = [
            _program("mariadb-install-db"),
            "--no-defaults",
            *self._as_root,
            f"--datadir={folder}/data",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        subprocess.run(install, check=True, capture_output=True, timeout=60)
        self.start()
        self.execute(f"CREATE USER '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
        self.execute(f"GRANT ALL ON *.* TO '{USER}'@'127.0.0.1'")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [
            _program("mariadbd"),
            "--no-defaults",
            *self._as_root,
            f"--datadir={self._folder}/data",
            f"--socket={self._folder}/s.sock",
            f"--pid-file={self._folder}/m.pid",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-log-bin",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=64M",
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-flush-method=fsync",
            f"--log-error={self._folder}/error.log",
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(self._answers, 30, f"MariaDB; see {self._folder}/error.log")

    def kill(self) -> None:
        """End the server at once, as a power cut would."""
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(30)

    def stop(self) -> None:
        """End the server in order."""
        assert self._process
        self._process.terminate()
        self._process.wait(60)

    def execute(self, *statements: str, database: str = "") -> list[tuple[Any, ...]]:
        """Run statements as root; return the rows of the last one."""
        connection = self._library.connect(
            unix_socket=f"{self._folder}/s.sock", user="root", db=database, charset="utf8mb4"
        )
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                rows = list(cursor.fetchall())
            connection.commit()
            return rows
        finally:
            connection.close()

    @property
    def socket(self) -> str:
        """Where root finds the server."""
        return f"{self._folder}/s.sock"

    def connect(self, database: str, user: str = USER, password: str = PASSWORD) -> Any:
        """Return a connection of the library itself, as CYGNO's tools and the logger have one."""
        return self._library.connect(
            host="127.0.0.1",
            port=self.port,
            user=user,
            passwd=password,
            db=database,
            charset="utf8mb4",
        )

    def new_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"cygno_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name

    def url(self, database: str) -> str:
        """Return the URL of a database as a catalog."""
        password = PASSWORD.replace("@", "%40").replace("/", "%2F")
        return f"mysql+mysqldb://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def connections(self, database: str) -> list[int]:
        """Return the ids of all connections to a database."""
        rows = self.execute(
            f"SELECT id FROM information_schema.processlist WHERE db = '{database}'"
        )
        return [int(row[0]) for row in rows]

    def is_up(self) -> bool:
        """Tell whether the server's process runs."""
        return self._process is not None and self._process.poll() is None

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except self._library.OperationalError:
            assert self._process and self._process.poll() is None, (
                self._folder / "error.log"
            ).read_text()
            return False
        return True


def why_not() -> str:
    """Return why there can be no server here, empty if there can."""
    if not shutil.which(_program("mariadbd")):
        return "MariaDB is not installed: apt-get install mariadb-server"
    try:
        import MySQLdb  # noqa: F401
    except ImportError:
        return "mysqlclient is not installed: pip install -e .[mariadb]"
    return ""


def _program(name: str) -> str:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin") or name


def start_server(folder: Path) -> MariaDb:
    """Start a server, or skip the test that asks for one."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    return MariaDb(folder)
