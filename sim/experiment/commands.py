"""Shell commands that operators wrote into the ODB: to start programs, to answer alarms."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from experiment.constants import MT_ERROR


class Commands:
    """Runs commands as MIDAS's ``ss_system`` does: in the background, their end is not awaited.

    :param folder: the experiment's; what they print goes to ``logs/commands.log`` there.
    :param say: ``say(name, type, text)`` writes to the message log.
    """

    def __init__(self, folder: Path, say: Callable[[str, int, str], None]) -> None:
        self._folder = folder
        self._say = say
        self._children: list[subprocess.Popen[bytes]] = []

    def run(self, command: str) -> None:
        """Start a command, with ``CYGNO_EXPERIMENT`` set to the experiment's folder."""
        logs = self._folder / "logs"
        try:
            logs.mkdir(exist_ok=True)
            with (logs / "commands.log").open("ab") as output:
                child = subprocess.Popen(
                    command,
                    shell=True,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**os.environ, "CYGNO_EXPERIMENT": str(self._folder)},
                    start_new_session=True,
                )
        except OSError as error:
            self._say("Experiment", MT_ERROR, f"cannot execute {command!r}: {error}")
        else:
            self._children.append(child)

    def reap(self) -> None:
        """Let those that ended go."""
        self._children = [child for child in self._children if child.poll() is None]
