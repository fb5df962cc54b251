"""Who works on what: claims that live as long as their work, and threads that end together."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from stager import claims
from stager.errors import Stopped
from stager.ledger import Ledger
from stager.models import File, Replica

_PULSE_S: Final = 0.1


class _Turn(threading.local):
    """What the present thread works on."""

    row: File | Replica | None = None
    renewed = pulsed = 0.0


class Turns:
    """The claims that the threads of one stager hold.

    :param pulse: called several times a second by the thread that made this object, and by no
        other (an experiment serves one thread); what it raises ends the work of all.
    """

    def __init__(self, ledger: Ledger, pulse: Callable[[], None]) -> None:
        self._ledger = ledger
        self._outer_pulse = pulse
        self._thread = threading.get_ident()
        self._turn = _Turn()
        self._over = threading.Event()

    @contextmanager
    def on(self, row: File | Replica) -> Iterator[None]:
        """Keep the claim on a row alive, by the pulses of this thread."""
        self._turn.row, self._turn.renewed = row, time.monotonic()
        try:
            yield
        finally:
            self._turn.row = None

    def end(self) -> None:
        """Let the other threads end at their next pulse."""
        self._over.set()

    def pulse(self) -> None:
        """Show that this thread is alive; to be called often.

        :raises Stopped: if the work is to end; what was begun is resumed later.
        """
        turn, moment = self._turn, time.monotonic()
        if moment - turn.pulsed < _PULSE_S:
            return
        turn.pulsed = moment
        if threading.get_ident() == self._thread:
            self._outer_pulse()
        elif self._over.is_set():
            raise Stopped("asked to end")
        if turn.row is not None and moment - turn.renewed > claims.RENEW_AFTER_S:
            turn.renewed = moment
            self._ledger.renew(turn.row)
