"""The logger of the standalone experiment: writes run files as MIDAS's mlogger writes them.

Run as ``python -m sim.logger`` with ``CYGNO_EXPERIMENT`` set. START (200) opens the file and asks
for all events of the buffer; STOP (800) drains the buffer and closes the file. Told to end in
mid-run (SIGTERM, shutdown), it writes what has arrived and closes the file without an end-of-run
dump, as mlogger does: the run has not ended, and readers can tell.

What cannot be written (a full disk) ends the run: what is whole stays, the rest is received,
counted and dropped until the run has stopped, so that no frontend hangs on a full buffer.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from experiment.client import Client, TransitionResult
from experiment.connect import DEFAULT_FOLDER
from experiment.constants import (
    GET_ALL,
    STATE_STOPPED,
    STATUS,
    TR_PAUSE,
    TR_RESUME,
    TR_START,
    TR_STARTABORT,
    TR_STOP,
)
from experiment.errors import ExperimentError, MidasError, SettingsError
from experiment.standalone.client import StandaloneClient
from rawdata.errors import RawDataError
from rawdata.odbdump import format_dump
from rawdata.runwriter import RunWriteError, RunWriter
from sim.logger_channel import (
    SETTINGS,
    STATISTICS,
    ChannelSettings,
    LoggerSettings,
    declare_settings,
    load_settings,
    missing_space,
    require_place,
    run_file,
)
from sim.open_run import NOTHING_YET, OpenRun

NAME = "Logger"
REFUSED = 0  # any code but 1 refuses a transition; mlogger's is 0
DEFAULT_BUFFER_BYTES = 32 << 20  # midas.h DEFAULT_BUFFER_SIZE
PUMP_BUDGET_S = 0.1  # how long to receive before transitions and the watchdog get their turn
COPY_PATIENCE_S = 5.0  # a copy takes milliseconds
DRAIN_LIMIT_S = 90.0  # below /Experiment/Transition timeout, 120 s
STATISTICS_PERIOD_S = 1.0
DISK_PERIOD_S = 10.0  # mlogger DISK_CHECK_INTERVAL_MILLISEC
STOP_RETRY_S = 1.0
ALARM_CHARACTERS = 79  # midas.h ALARM_ODB_STR


class Logger:
    """Writes the runs of one experiment, one after the other."""

    def __init__(self, client: StandaloneClient) -> None:
        self.client = client
        self.run: OpenRun | None = None
        self._buffers: dict[str, int] = {}
        self._restart_at: float | None = None
        self._next_statistics = self._next_disk_look = self._next_stop_try = 0.0
        declare_settings(client, client.folder)
        client.register_transition_callback(TR_START, 200, self.start)
        client.register_transition_callback(TR_STOP, 800, self.stop)
        client.register_transition_callback(TR_STARTABORT, 800, self.abort)
        client.register_transition_callback(TR_PAUSE, 800, self.pause)
        client.register_transition_callback(TR_RESUME, 200, self.pause)
        if client.odb_get("/Runinfo/State") != STATE_STOPPED:
            number = client.odb_get("/Runinfo/Run number")
            self._alarm(f"run {number} goes on but is not written: the logger was away. Stop it")

    # transitions -------------------------------------------------------------------------------
    def start(self, client: Client, run_number: int) -> TransitionResult:
        """Open the run's file and ask for its events."""
        if self.run:
            self._close("the next run began before it was stopped")
        self._restart_at = None
        try:
            logger, channel = load_settings(client)
            if not (logger.write_data and channel.active):
                key = f"{SETTINGS}/Active" if logger.write_data else "/Logger/Write data"
                client.msg(f"run {run_number} is not written: {key} is off")
                return None
            plain = run_file(logger, channel, run_number)
            require_place(logger, plain)
            if logger.odb_last_dump_file:
                self._save_odb(Path(logger.data_dir, logger.odb_last_dump_file))
            self.run = self._open(run_number, logger, channel, plain)
        except (SettingsError, MidasError, RawDataError, OSError) as error:
            client.msg(f"run {run_number} cannot be written: {error}", True)
            return REFUSED, str(error)
        return None

    def _open(
        self, run_number: int, logger: LoggerSettings, channel: ChannelSettings, plain: Path
    ) -> OpenRun:
        client = self.client
        writer = RunWriter(plain, channel.compress, channel.has_checksums)
        try:
            shown = os.path.relpath(writer.path, logger.data_dir)
            client.odb_set(f"{SETTINGS}/Current filename", shown)
            before = float(client.odb_get(f"{STATISTICS}/Bytes written total"))
            if channel.buffer not in self._buffers:
                self._buffers[channel.buffer] = client.open_event_buffer(channel.buffer)
            buffer = self._buffers[channel.buffer]
            client.odb_set(STATISTICS, NOTHING_YET, remove_unspecified_keys=False)
            event_bytes = self._buffer_bytes(channel.buffer)
            if channel.odb_dump:
                writer.write_odb_dump(run_number, self._odb(), begin=True)
            request = client.register_event_request(
                buffer, channel.event_id, channel.trigger_mask, GET_ALL
            )
        except BaseException:
            _close_and_remove(writer)
            raise
        run = OpenRun(run_number, logger, channel, writer, buffer, request, event_bytes, before)
        run.dumps = int(channel.odb_dump)
        self._publish(run)
        return run

    def _buffer_bytes(self, name: str) -> int:
        """No event is larger than its buffer; memory that no event touches costs nothing."""
        key = f"/Experiment/Buffer sizes/{name}"
        known = self.client.odb_exists(key)
        return int(self.client.odb_get(key)) if known else DEFAULT_BUFFER_BYTES

    def stop(self, client: Client, run_number: int) -> TransitionResult:
        """Write all that is in the buffer and the ODB at end of run; close the file."""
        run = self.run
        if run is None:
            return None
        self._drain(run)
        if run.channel.odb_dump and not run.failure:
            self._publish(run)
            try:
                run.writer.write_odb_dump(run_number, self._odb(), begin=False)
                run.dumps += 1
            except RawDataError as error:
                self._fail(run, error)
        if run.restart and run.logger.auto_restart:
            self._restart_at = time.monotonic() + run.logger.auto_restart_delay_s
        self._close("")
        if run.logger.odb_dump:
            name = run.logger.odb_dump_file
            name = name % run_number if "%" in name else name
            try:
                self._save_odb(Path(run.logger.data_dir, name))
            except (RawDataError, OSError) as error:
                client.msg(f"the ODB at end of run {run_number} was not saved: {error}", True)
        return None

    def abort(self, client: Client, run_number: int) -> TransitionResult:
        """Remove the file of a run that another program refused."""
        run, self.run = self.run, None
        if run:
            client.deregister_event_request(run.buffer, run.request)
            _close_and_remove(run.writer)
            lost = f", and with it {run.received} events" if run.received else ""
            client.msg(f"run {run_number} did not start: removed {run.writer.path.name}{lost}")
        return None

    def pause(self, client: Client, run_number: int) -> TransitionResult:
        """Pause or resume: what is on its way is written all the same."""
        return None

    # events ------------------------------------------------------------------------------------
    def pump(self) -> bool:
        """Write what has arrived, for `PUMP_BUDGET_S` at most; tell whether anything had."""
        run, seen = self.run, False
        end = time.monotonic() + PUMP_BUDGET_S
        while run and time.monotonic() < end and self._take(run, PUMP_BUDGET_S):
            seen = True
        return seen

    def _take(self, run: OpenRun, patience_s: float | None) -> bool:
        """Hand the next event to the writer; tell whether there was one."""
        if run.pending is None:
            if run.into is None:
                run.into = run.writer.lend(run.event_bytes)
            run.pending = self.client.receive_buffer(run.buffer, run.into.data)
            if run.pending is None:
                return False
            run.received += 1
        if not run.failure:
            try:
                if not run.writer.write(run.pending, lent=run.into, timeout_s=patience_s):
                    return True  # no room yet; the same event is tried again
                run.into = None
            except RunWriteError as error:
                self._fail(run, error)
        run.dropped += bool(run.failure)
        run.pending = None
        return True

    def _drain(self, run: OpenRun) -> None:
        """Take all there is; an event that somebody is just copying counts as there."""
        begin = last = time.monotonic()
        while True:
            taken, now = self._take(run, None), time.monotonic()
            if now - begin > DRAIN_LIMIT_S or (not taken and now - last > COPY_PATIENCE_S):
                what = "events do not end" if taken else "a sender hangs in mid-event"
                self.client.msg(f"run {run.number}: {what} in buffer {run.channel.buffer}", True)
                return
            if taken:
                last = now
            elif self.client.buffer_level(run.buffer) > 0:
                time.sleep(0.001)
            else:
                return

    # limits, figures ---------------------------------------------------------------------------
    def look_after(self) -> None:
        """Publish figures, watch the disk and the limits, ask for stop and start of runs."""
        now, run = time.monotonic(), self.run
        if now >= self._next_statistics:
            self._next_statistics = now + STATISTICS_PERIOD_S
            if run:
                self._publish(run)
        if run and now >= self._next_disk_look:
            self._next_disk_look = now + DISK_PERIOD_S
            problem = missing_space(run.logger, run.writer.path.parent)
            if problem and not run.stop_reason:
                self._alarm(problem)
                run.stop_reason = problem
        if run and not run.stop_reason:
            run.stop_reason = run.limit_reached()
            run.restart = bool(run.stop_reason)
        if run and run.stop_reason and now >= self._next_stop_try:
            self._next_stop_try = now + STOP_RETRY_S
            self._ask_for_stop(run)
        if self._restart_at is not None and now >= self._restart_at:
            self._restart()

    def _ask_for_stop(self, run: OpenRun) -> None:
        try:
            self.client.msg(f"stopping run {run.number}: {run.stop_reason}", bool(run.failure))
            self.client.stop_run(async_flag=True)
        except MidasError as error:
            if error.code != STATUS["CM_TRANSITION_IN_PROGRESS"]:
                self.client.msg(f"run {run.number} could not be stopped: {error}", True)

    def _restart(self) -> None:
        self._restart_at = None
        if not self.client.odb_get("/Logger/Auto restart"):
            return
        try:
            self.client.start_run(async_flag=True)
        except MidasError as error:
            self.client.msg(f"the next run could not be started: {error}", True)

    def _publish(self, run: OpenRun) -> None:
        self.client.odb_set(STATISTICS, run.statistics(), remove_unspecified_keys=False)

    # ends --------------------------------------------------------------------------------------
    def _fail(self, run: OpenRun, error: RawDataError) -> None:
        """Note that the file cannot be written further, and have the run stopped."""
        run.failure = error.reason if isinstance(error, RunWriteError) else str(error)
        run.stop_reason = f"{run.writer.path.name} {run.failure}"
        self._alarm(f"run {run.number}: {run.stop_reason}")
        self.client.msg(f"run {run.number}: {error}; what is whole in it can be read", True)

    def _close(self, cut_off: str) -> None:
        """Close the file; `cut_off` says why, where it is not the end of the run."""
        run, self.run = self.run, None
        if run is None:
            return
        if run.buffer:
            self.client.deregister_event_request(run.buffer, run.request)
        try:
            run.writer.close()
        except RawDataError as error:
            if not run.failure:
                self._fail(run, error)
        self._publish(run)
        files = f"{STATISTICS}/Files written"
        self.client.odb_set(files, float(self.client.odb_get(files)) + 1)
        name, count = run.writer.path.name, run.writer.events
        if run.failure:
            text = (
                f"run {run.number}: {name} holds at most {count} of {run.received} events "
                f"({run.dropped} came after the failure), 'cygno-rawdata check' counts them: "
                f"{run.failure}"
            )
        else:
            text = f"run {run.number}: wrote {count} events, {run.writer.bytes_file} bytes, {name}"
        if cut_off:
            text += f"; without an end of run, since {cut_off}"
        self.client.msg(text, bool(run.failure or cut_off))

    def end(self, why: str) -> None:
        """Write what has arrived, and close the file of a run that goes on without us."""
        if self.run:
            number = self.run.number
            if self.run.buffer:
                self._drain(self.run)
            self._close(why)
            self._alarm(f"run {number} goes on but is not written: {why}. Stop it")

    def end_with(self, client: StandaloneClient, why: str) -> None:
        """Do as `end` does with another client, since ours had to leave at once."""
        self.client = client
        if self.run:
            self.run.buffer = 0
        self.end(why)

    def rescue(self) -> None:
        """Write what has arrived and close the file, where there is no server to tell it to."""
        run, self.run = self.run, None
        if run is None:
            return
        with suppress(ExperimentError, RawDataError):
            while self._take(run, None):
                pass
        with suppress(RawDataError):
            run.writer.close()

    def _alarm(self, text: str) -> None:
        self.client.trigger_internal_alarm(NAME, text[:ALARM_CHARACTERS])

    def _odb(self) -> dict[str, Any]:
        odb: dict[str, Any] = self.client.odb_get("/", include_key_metadata=True)["root"]
        return odb

    def _save_odb(self, path: Path) -> None:
        temporary = path.with_name(f".{path.name}.new")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(format_dump(self._odb()))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def _close_and_remove(writer: RunWriter) -> None:
    sidecars: tuple[Path, ...] = ()
    with suppress(RawDataError):
        sidecars = writer.close().sidecars
    for path in (writer.path, *sidecars):
        path.unlink(missing_ok=True)


def main() -> int:
    """Log runs until told to end."""
    try:
        client = StandaloneClient(
            NAME, os.environ.get("CYGNO_EXPERIMENT") or DEFAULT_FOLDER.expanduser()
        )
    except ExperimentError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    told_to_end: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda seen, _: told_to_end.append(seen))
    logger = None
    try:
        logger = Logger(client)
        why = "the logger was told to end"
        try:
            while not told_to_end:
                logger.look_after()
                client.communicate(1 if logger.pump() else 10)
            logger.end(f"{why} by a signal")
        except SystemExit:
            with StandaloneClient(NAME, client.folder) as again:
                logger.end_with(again, f"{why} by an operator")
    except (ExperimentError, RawDataError, OSError) as error:
        sys.stderr.write(f"{NAME}: {error}\n")
        return 1
    finally:
        if logger:
            logger.rescue()
        client.disconnect()
    return 0


if __name__ == "__main__":
    sys.exit(main())
