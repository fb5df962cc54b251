"""A catalog as a day of data taking leaves it: for dashboards, and for how fast it is asked."""

import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from stager.catalog import Catalog
from stager.models import File, Replica, Run, Runlog, State, now
from stager.quality import write_quality
from stager.records import SlowControl, Transfer

PERIOD = timedelta(minutes=6)
CHANNELS = (
    *(
        ("HV", bank, i, name)
        for bank in ("DMND", "MSRD", "CRNT")
        for i, name in enumerate(
            (
                "VGEM1",
                "VGEM2",
                "VGEM3",
                "Drift",
                "Transf1",
                "Transf2",
                "PMT1",
                "PMT2",
                "PMT3",
                "PMT4",
            )
        )
    ),
    *(("Environment", "INPT", i, f"P0IIn{i}") for i in range(8)),
    ("CameraStatus", "TCAM", 0, "TCAM0"),
    ("TriggerModule", "TMOD", 0, "TMOD0"),
)


def fill(url: str, runs: int, figures: dict[str, Any], last: datetime | None = None) -> Catalog:
    """Fill an empty catalog with runs that end now; each tenth has something wrong.

    :param figures: what the summary of a good run says.
    """
    catalog = Catalog(url)
    end = (last or now()).replace(microsecond=0)
    with catalog.write() as session:
        first = 42_000
        numbers = range(first, first + runs)
        starts = {n: end - (first + runs - n) * PERIOD for n in numbers}
        session.execute(insert(Runlog), [_runlog(n, starts[n]) for n in numbers])
        session.execute(insert(Run), [_run(n, starts[n]) for n in numbers])
        files = [row for n in numbers for row in _files(n, starts[n])]
        session.execute(insert(File), files)
        replicas = [row for file in files for row in _replicas(file)]
        session.execute(insert(Replica), replicas)
        session.execute(insert(Transfer), [_transfer(row, n) for n, row in enumerate(replicas, 1)])
        _slow_control(session, list(numbers), starts)
        for number in numbers:
            trouble = "cut short" if number % 10 == 5 else ""
            limits = "noise_adu" if number % 10 == 6 else ""
            summary = {**figures, "run": number, "complete": not trouble, "trouble": trouble}
            summary["limits_violated"] = limits
            write_quality(session, File(run_number=number), json.loads(json.dumps(summary)), "")
    return catalog


def _runlog(number: int, start: datetime) -> dict[str, Any]:
    stop = start + PERIOD * 0.8
    return {
        "run_number": number,
        "run_description": f"S000:DATA:BKG {number}",
        "start_time": start.replace(tzinfo=None),
        "stop_time": stop.replace(tzinfo=None),
        "exposure_sec": 0.3,
        **{f"GEM{gem}_V": 440.0 for gem in (1, 2, 3)},
        "DRIFT_V": 960.0,
        "pedestal_run": number % 10 == 0,
        "source_type": number % 10 == 1,
        "number_of_events": 400.0,
        "storage_local_status": 1,
        "storage_cloud_status": -1 if number % 10 == 3 else 1,
        "storage_tape_status": -1,
        "file_size": 1_500_000_000,
        "file_s3_tag": "LNGS",
        "online_reco_status": -1,
    }


def _run(number: int, start: datetime) -> dict[str, Any]:
    return {
        "run_number": number,
        "tag": "LNGS",
        "start_time": start,
        "stop_time": start + PERIOD * 0.8,
        "is_complete": number % 10 != 4,
        "trigger_events": 400,
        "events_sent": 400,
        "frames_lost": 0,
        "note": "truncated: run00042.mid has no end-of-run event" if number % 10 == 4 else None,
        "created_at": start,
        "updated_at": start,
    }


def _files(number: int, start: datetime) -> list[dict[str, Any]]:
    names = {"raw": f"run{number:05}.mid.gz", "reco": f"run{number:05}.reco.h5"}
    return [
        {
            "id": 2 * (number - 42_000) + index + 1,
            "run_number": number,
            "kind": kind,
            "path": f"/data/{name}",
            "name": name,
            "size_bytes": 1_500_000_000 if kind == "raw" else 10_000_000,
            "mtime_ns": 0,
            "sha256": "0" * 64,
            "truncated": number % 10 == 4 and kind == "raw",
            "discovered_at": start + PERIOD * 0.8,
            "updated_at": start,
            "state": _file_state(number, kind),
            "deleted_at": start + PERIOD if number % 10 == 9 else None,
            "reason": "verified again at cloud; older than 30 days" if number % 10 == 9 else None,
            "tries": 0,
        }
        for index, (kind, name) in enumerate(names.items())
    ]


def _file_state(number: int, kind: str) -> str:
    if kind == "reco" and number % 10 == 8:
        return State.FAILED
    return {3: State.HASHED, 9: State.DELETED}.get(number % 10, State.CATALOGUED)


def _replicas(file: dict[str, Any]) -> list[dict[str, Any]]:
    failed = file["run_number"] % 10 == 3
    return [
        {
            "id": file["id"],
            "file_id": file["id"],
            "place": "cloud",
            "kind": "s3",
            "location": "cygno-data",
            "object_key": f"LNGS/{file['name']}",
            "state": State.FAILED if failed else State.CATALOGUED,
            "reason": "SlowDown" if failed else None,
            "tries": 2 if failed else 0,
            "next_try_at": file["discovered_at"] + PERIOD if failed else None,
            "verified_at": None if failed else file["discovered_at"] + PERIOD * 0.2,
            "checked_at": None if failed else file["discovered_at"] + PERIOD * 0.2,
            "updated_at": file["discovered_at"],
            "conflict": False,
        }
    ]


def _transfer(replica: dict[str, Any], number: int) -> dict[str, Any]:
    failed = replica["state"] == State.FAILED
    return {
        "id": number,
        "replica_id": replica["id"],
        "number": 1,
        "stager": "host boot/1 7 8",
        "started_at": replica["updated_at"],
        "ended_at": replica["updated_at"] + timedelta(seconds=20),
        "duration_s": 20.0,
        "bytes_sent": 1_500_000_000,
        "rate_bytes_s": 75e6,
        "outcome": "failed" if failed else "verified",
        "reason": replica["reason"],
    }


def _slow_control(session: Session, numbers: list[int], starts: dict[int, datetime]) -> None:
    rows = [
        {
            "run_number": number,
            "subrun": 0,
            "equipment": equipment,
            "bank": bank,
            "channel": channel,
            "name": name,
            "unit": "V",
            "readings": 5,
            **dict.fromkeys(("first", "last", "lowest", "highest", "mean"), 440.0),
            "sigma": 0.1,
            "first_at": starts[number],
            "last_at": starts[number] + PERIOD * 0.8,
        }
        for number in numbers
        for equipment, bank, channel, name in CHANNELS
    ]
    session.execute(insert(SlowControl), rows)
