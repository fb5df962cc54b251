"""Run a program of the site's, such as gfal-copy: bounded in time, ended with us, never twice.

The program begins only when its process is on record, so that a stager that comes after one that
was killed finds it and ends it.
"""

import os
import re
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import IO, Final

from stager import claims
from stager.errors import ConfigurationError, StoreError, StoreUnusableError

_TAIL_BYTES: Final = 1 << 16
_PULSE_S: Final = 0.05
_NOT_STARTED: Final = (126, 127)
"""Exit codes of a shell for a program that cannot be executed, or is not there."""
# Waits for one line before it becomes the program; when we die before, the line never comes.
_STARTER: Final = 'read -r go && exec "$@" </dev/null'
_SECRET: Final = re.compile(r"SECRET|TOKEN|PASSW|CREDENTIAL|ACCESS_KEY", re.IGNORECASE)


@dataclass(frozen=True)
class Ended:
    """A program that has ended by itself.

    :param output: what it printed, the end of it, on both streams.
    """

    shown: str
    code: int
    output: str

    @property
    def last_line(self) -> str:
        """What it said last, for messages."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it printed nothing"


def fill_in(template: str, values: Mapping[str, object]) -> list[str]:
    """Return the words of a command; a value stays one word whatever is in it.

    :raises ConfigurationError: if the template cannot be cut into words or names unknown values.

    >>> fill_in("gfal-copy -f file://{file} 'davs://x/{key}'", {"file": "/a b", "key": "T/r"})
    ['gfal-copy', '-f', 'file:///a b', 'davs://x/T/r']
    """
    try:
        words = [word.format_map(dict(values)) for word in shlex.split(template)]
    except (KeyError, IndexError) as error:
        known = " ".join(f"{{{name}}}" for name in values)
        raise ConfigurationError(
            f"the command {template!r} has {error}, allowed: {known}; write {{{{ for a brace"
        ) from error
    except (ValueError, AttributeError) as error:
        raise ConfigurationError(f"the command {template!r} cannot be read: {error}") from error
    if not words:
        raise ConfigurationError("a command is empty")
    return words


def run_program(
    template: str,
    values: Mapping[str, object],
    timeout_s: float,
    pulse: Callable[[], None],
    started: Callable[[str], None] = lambda identity: None,
) -> Ended:
    """Run a program to its end.

    :param started: told the process's identity before the program begins.
    :param pulse: called all the time; what it raises ends the program.
    :raises StoreUnusableError: if there is no such program; StoreError if it takes too long.
    """
    words = fill_in(template, values)
    shown = words[0]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _STARTER, "sh", *words],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that its children can be ended with it
        )
        try:
            started(identity_of(process.pid))
            _let_go(process)
            end = monotonic() + timeout_s
            while True:
                with suppress(subprocess.TimeoutExpired):
                    code = process.wait(_PULSE_S)
                    break
                pulse()
                if monotonic() > end:
                    raise StoreError(
                        f"{shown} did not end within {timeout_s:g} s and was killed; it said: "
                        f"{Ended(shown, 0, _read_tail(output)).last_line}"
                    )
        finally:
            _kill(process)
        ended = Ended(shown, code, _read_tail(output))
    if code in _NOT_STARTED:
        raise StoreUnusableError(
            f"the program {shown} cannot be started: {ended.last_line}; install it, or mend the "
            "command"
        )
    return ended


def identity_of(pid: int) -> str:
    """Return the identity of one of our programs, as claims have them."""
    host_and_boot = claims.own_identity().rsplit(" ", 2)[0]
    return f"{host_and_boot} {pid} {claims.started(pid)}"


def end_left_over(identity: str) -> bool:
    """Kill a program that a stager which has died has left behind; True if there was one.

    Only on this computer and boot, where a process can be told from its namesakes.
    """
    parts = identity.rsplit(" ", 2)
    if len(parts) != 3 or not parts[1].isdecimal() or identity != identity_of(int(parts[1])):
        return False
    with suppress(ProcessLookupError):
        os.killpg(int(parts[1]), signal.SIGKILL)
    return True


def _let_go(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.write(b"go\n")
            process.stdin.flush()
            process.stdin.close()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End a program and what it started; nothing happens if it has ended."""
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read_tail(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - _TAIL_BYTES))
    text = output.read().decode(errors="replace")
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET.search(name):
            text = text.replace(value, "...")
    return text
