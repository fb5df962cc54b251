"""Measure staging beside boto3, and looking at many runs: ``python -m benchmarks.stager [--json]``.

One run of 2 GB is brought to a real S3 server on this computer by the whole stager (reading, all
hashes, catalog, upload, asking the server) and by ``boto3.upload_file`` with the same settings;
repeats are interleaved, each in a process of its own, and the figures are medians. The server has
half of the cores to itself and both have the other half, as if it were another computer: it takes
several times their processor time. With ``--shared-cores`` all have all cores: then the figure is
how little they leave to the server. What they take is a figure of its own, and the ratio says more
than the rates.
"""

import argparse
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.usage import between, take_snapshot
from rawdata.runwriter import RunWriter
from sim.s3 import S3Server

EVENT_BYTES = 10 << 20
PART_MIB = 16
PARALLEL_PARTS = 4
BOTO3_KEY = "boto3/run00001.mid"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--size-mb", type=int, default=2000, help="size of the run")
    parser.add_argument("--repeats", type=int, default=2, help="interleaved repeats")
    parser.add_argument("--runs", type=int, default=1000, help="runs to look at")
    parser.add_argument(
        "--shared-cores", action="store_true", help="let the server have the clients' cores, too"
    )
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(WORKERS[arguments.worker](arguments.folder)))
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(
            Path(folder),
            arguments.size_mb,
            arguments.repeats,
            arguments.runs,
            shared_cores=arguments.shared_cores,
        )
    if arguments.json:
        print(json.dumps(figures))
    else:
        _print_table(figures)


def measure(
    folder: Path, size_mb: int, repeats: int, runs: int, *, shared_cores: bool = False
) -> dict[str, Any]:
    """Return all figures."""
    experiment = folder / "experiment"
    (experiment / "data").mkdir(parents=True)
    size_bytes = _write_run(experiment / "data", size_mb)
    seconds: dict[str, list[float]] = {"stager": [], "boto3": []}
    peaks: dict[str, list[float]] = {"stager": [], "boto3": []}
    used: dict[str, list[float]] = {"stager": [], "boto3": []}
    own: dict[str, list[float]] = {"stager": [], "boto3": []}
    with _server(experiment / "s3", shared_cores) as server:
        for repeat in range(repeats):
            order = list(seconds) if repeat % 2 else list(reversed(seconds))
            for name in order:
                pids = {"server": server.pid or 0}
                _read_through(experiment / "data" / "run00001.mid")
                before = take_snapshot(pids)
                answer = _in_process(name, experiment)
                server_s = between(before, take_snapshot(pids), pids).programs_s["server"]
                used[name].append(answer["cpu_s"] + server_s)
                own[name].append(answer["cpu_s"])
                seconds[name].append(answer["seconds"])
                peaks[name].append(answer["peak_mib"])
                _forget(server)
    scans = _measure_many(folder / "many", runs)
    staged_s, boto3_s = median(seconds["stager"]), median(seconds["boto3"])
    return {
        "size_bytes": size_bytes,
        "stager_mbps": 1e-6 * size_bytes / staged_s,
        "boto3_mbps": 1e-6 * size_bytes / boto3_s,
        "over_boto3": boto3_s / staged_s,
        # Of client and server together: what the ratio would be on shared cores, and what a busy
        # machine does not change much.
        "over_boto3_cpu": median(used["boto3"]) / median(used["stager"]),
        "stager_cpu_s": median(own["stager"]),
        "boto3_cpu_s": median(own["boto3"]),
        "stager_s": seconds["stager"],
        "boto3_s": seconds["boto3"],
        "peak_mib": max(peaks["stager"]),
        "boto3_peak_mib": max(peaks["boto3"]),
        **scans,
        "repeats": repeats,
        "cpus": os.cpu_count(),
        "shared_cores": shared_cores,
    }


@contextmanager
def _server(folder: Path, shared_cores: bool) -> Iterator[S3Server]:
    """Start a server with half of the cores, and leave who is started from here the other half."""
    cores = sorted(os.sched_getaffinity(0))
    half = 0 if shared_cores else len(cores) // 2
    server = S3Server(folder)
    try:
        if half:
            os.sched_setaffinity(0, cores[half:])
        with server:
            if half:
                os.sched_setaffinity(0, cores[:half])
            yield server
    finally:
        os.sched_setaffinity(0, cores)


class _Silent:
    """A progress that nobody looks at."""

    def begin(self, what: str, total_bytes: int) -> None:
        """Do nothing."""

    def advance(self, count_bytes: int) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


def _write_run(folder: Path, size_mb: int) -> int:
    """Write one run of events that nothing can compress; return its size."""
    writer = RunWriter(folder / "run00001.mid", compress="none")
    info = {"Runinfo": {"Run number": 1, "Start time": "Sun Nov 22 07:42:18 2026"}}
    writer.write_odb_dump(1, info, begin=True)
    for serial in range(size_mb * 1_000_000 // EVENT_BYTES):
        bank = struct.pack("<4sII", b"CAM0", 1, EVENT_BYTES) + os.urandom(EVENT_BYTES)
        body = struct.pack("<II", len(bank), 0x11) + bank
        writer.write(
            memoryview(struct.pack("<HHIII", 1, 0, serial, 1_700_000_000, len(body)) + body)
        )
    writer.write_odb_dump(1, info, begin=False)
    return Path(writer.close().path).stat().st_size


def _read_through(path: Path) -> None:
    """Let the system have a file in its memory, as it has that of a run that has just ended."""
    block = bytearray(1 << 20)
    with path.open("rb", buffering=0) as file:
        while file.readinto(block):
            pass


def _in_process(worker: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.stager", "--worker", worker, "--folder", str(folder)],
        env={name: text for name, text in os.environ.items() if not name.startswith("AWS_")},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return dict(json.loads(done.stdout))


def _stage(folder: Path) -> dict[str, float]:
    """Stage the run as ``cygno-stager once`` does."""
    from stager.catalog import Catalog
    from stager.configuration import configure
    from stager.models import State
    from stager.once import stage_once

    options = {"part_size_mib": PART_MIB, "parallel_parts": PARALLEL_PARTS, "tag": "STAGER"}
    Catalog(configure(options, folder, None).catalog_url).close()  # made once in a site's life
    begin_s, begin_cpu_s = time.perf_counter(), _cpu_s()
    configuration = configure(options, folder, None)
    result = stage_once(configuration, lambda: None, lambda: None, _Silent())
    seconds = time.perf_counter() - begin_s
    assert {outcome.state for outcome in result.outcomes} == {State.CATALOGUED}, result
    for path in folder.glob("catalog.sqlite*"):
        path.unlink()
    return {"seconds": seconds, "cpu_s": _cpu_s() - begin_cpu_s, "peak_mib": _peak_mib()}


def _upload(folder: Path) -> dict[str, float]:
    """Upload the run as boto3 does it, in the same parts, with the same checksum."""
    import boto3
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config

    begin_s, begin_cpu_s = time.perf_counter(), _cpu_s()
    access = json.loads((folder / "s3" / "credentials.json").read_text())
    client = boto3.client(
        "s3",
        endpoint_url=access["endpoint"],
        region_name=access["region"],
        aws_access_key_id=access["access_key"],
        aws_secret_access_key=access["secret_key"],
        config=Config(s3={"addressing_style": "path", "payload_signing_enabled": False}),
    )
    part_bytes = PART_MIB << 20
    client.upload_file(
        str(folder / "data" / "run00001.mid"),
        access["bucket"],
        BOTO3_KEY,
        ExtraArgs={"ChecksumAlgorithm": "CRC32C"},
        Config=TransferConfig(
            multipart_threshold=part_bytes,
            multipart_chunksize=part_bytes,
            max_concurrency=PARALLEL_PARTS,
        ),
    )
    seconds = time.perf_counter() - begin_s
    return {"seconds": seconds, "cpu_s": _cpu_s() - begin_cpu_s, "peak_mib": _peak_mib()}


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak_mib() -> float:
    """Return the most memory that this process has had since it began.

    Not `ru_maxrss`: that of a new process begins with what its parent has had.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _forget(server: S3Server) -> None:
    """Remove what was sent, and let the disk come to rest: the next one has the same begin."""
    import boto3
    from botocore.config import Config

    access = server.access
    client = boto3.client(
        "s3",
        endpoint_url=access.endpoint,
        region_name=access.region,
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )
    for entry in client.list_objects_v2(Bucket=access.bucket).get("Contents", []):
        client.delete_object(Bucket=access.bucket, Key=entry["Key"])
    os.sync()


def _measure_many(folder: Path, runs: int) -> dict[str, float]:
    """Return how long it takes to find, to look through and to show many runs."""
    (folder / "data").mkdir(parents=True)
    for number in range(1, runs + 1):
        (folder / "data" / f"run{number:05d}.mid.gz").write_bytes(b"a run")
    scan = _in_process("scan", folder)
    shown_s, shown_cpu_s = [], []
    for _ in range(3):
        begin_s, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "stager.main", "status"),
                *("--experiment", str(folder), "--limit", str(runs)),
            ],
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        shown_s.append(time.perf_counter() - begin_s)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        shown_cpu_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert f"run{runs:05d}.mid.gz" in done.stdout
    return {
        "scan_1000_s": scan["scan_s"],
        "find_1000_s": scan["find_s"],
        "status_1000_s": median(shown_s),
        "status_1000_cpu_s": median(shown_cpu_s),
    }


def _scan(folder: Path) -> dict[str, float]:
    """Bring new runs into a catalog, let them be staged, then look through them again."""
    from sqlalchemy import update

    from stager.catalog import Catalog
    from stager.configuration import configure
    from stager.discovery import find_files
    from stager.ledger import Ledger
    from stager.models import File, State
    from stager.registry import Registry
    from stager.worker import Worker

    configuration = configure({}, folder, None)
    catalog = Catalog(configuration.catalog_url)
    ledger = Ledger(catalog, configuration)
    begin_s = time.perf_counter()
    found = find_files(configuration.data_dir)
    Registry(ledger).register(found, [configuration.data_dir])
    find_s = time.perf_counter() - begin_s
    with catalog.write() as session:
        session.execute(update(File).values(state=State.REPLICATED, sha256="0" * 64))
    worker = Worker(configuration, ledger, lambda: None, _Silent())
    scans = []
    for _ in range(3):
        begin_s = time.perf_counter()
        worker.run_pass(lambda: None, retry_all=False)
        scans.append(time.perf_counter() - begin_s)
    worker.close()
    catalog.close()
    return {"find_s": find_s, "scan_s": median(scans)}


def _print_table(figures: dict[str, Any]) -> None:
    table = Table("figure", "measured", "goal", "boto3")
    table.add_row(
        "a run of 2 GB, all hashes and checks, over boto3.upload_file",
        f"{figures['over_boto3']:.3f} ({figures['stager_mbps']:.0f} MB/s)",
        ">= 0.9",
        f"{figures['boto3_mbps']:.0f} MB/s",
    )
    table.add_row(
        "the same in processor time, client and server",
        f"{figures['over_boto3_cpu']:.3f}",
        "",
        "",
    )
    table.add_row(
        "peak memory",
        f"{figures['peak_mib']:.0f} MiB",
        "<= 200 MiB",
        f"{figures['boto3_peak_mib']:.0f} MiB",
    )
    for name, what in (
        ("status_1000_s", "cygno-stager status of 1000 runs, whole command"),
        ("scan_1000_s", "looking through 1000 runs that are staged"),
        ("find_1000_s", "1000 new runs into the catalog"),
    ):
        table.add_row(what, f"{figures[name]:.2f} s", "<= 1 s", "")
    Console(width=110).print(table)


WORKERS = {"stager": _stage, "boto3": _upload, "scan": _scan}

if __name__ == "__main__":
    main()
