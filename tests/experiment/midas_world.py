"""A real MIDAS experiment with its logger, for whole runs; see also `tests.experiment.worlds`."""

import ctypes
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conftest import suspend, wait_until
from tests.experiment.peer import without_midas
from tests.experiment.worlds import MidasWorld

ROOT = Path(__file__).parents[2]
LOGGER_IS_UP = b"MIDAS logger started"


class MidasRuns(MidasWorld):
    """A MIDAS experiment that takes runs: mlogger writes them to the folder `data`.

    MIDAS breaks where two programs attach at the same moment while none is attached, so the logger
    is the first to start and the last to end.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.data = folder / "data"
        self.data.mkdir()
        self._programs: dict[str, subprocess.Popen[bytes]] = {}

    def set_up(self) -> None:
        """Make room for frames of 2304x2304 pixels, and start the logger."""
        setup = self.fresh("setup")
        setup.odb_set("/Experiment/MAX_EVENT_SIZE", ctypes.c_uint32(32 << 20))
        setup.odb_set("/Experiment/Buffer sizes/SYSTEM", ctypes.c_uint32(256 << 20))
        setup.odb_set("/Logger/Data dir", f"{self.data}/")
        self.start_logger()
        setup.close()

    def start_logger(self) -> None:
        """Start mlogger and wait until it is up."""
        self.start("mlogger", "mlogger")
        wait_until(lambda: LOGGER_IS_UP in self.output("mlogger"), 20, "mlogger")

    def start(self, name: str, *command: str) -> None:
        """Start a program that stays, one of MIDAS or of ours; its output goes to a file."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self._programs[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**without_midas(), **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def ask(self, *command: str, **environment: str) -> str:
        """Run a program of MIDAS or of ours to its end and return what it says."""
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**without_midas(), **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout

    def kill(self, name: str) -> None:
        """Kill a program as ``kill -9`` does."""
        program = self._programs.pop(name)
        program.kill()
        program.wait()

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a program."""
        self._programs[name].send_signal(number)

    def suspend(self, name: str) -> None:
        """Stop a program (SIGSTOP) while it holds no lock; SIGCONT lets it go on."""
        suspend(self._programs[name].pid)

    def output(self, program: str) -> bytes:
        """Return what a program has said."""
        return (self.folder / f"{program}.log").read_bytes()

    def files(self, run: int) -> list[Path]:
        """Return the files of a run, without those of the checksums."""
        found = self.data.glob(f"run{run:05d}.mid*")
        return sorted(path for path in found if not path.name.endswith("crc32c"))

    def close(self) -> None:
        for program in reversed(self._programs.values()):
            program.terminate()
            program.wait(20)
        super().close()


@contextmanager
def midas_runs() -> Iterator[MidasRuns]:
    """Make a MIDAS experiment and end it with all its programs."""
    with TemporaryDirectory(prefix="cr-") as folder:  # short: it becomes part of a file's name
        world = MidasRuns(Path(folder))
        try:
            world.set_up()
            yield world
        finally:
            world.close()
