"""Runs that are old enough to be deleted."""

import os
import time
from datetime import timedelta
from pathlib import Path

from stager.catalog import Catalog
from stager.models import Run
from tests.stager.runs import write_run
from tests.stager.staging import Folder

BY_AGE = {"CYGNO_STAGER_KEEP_NEWEST_RUNS": "1", "CYGNO_STAGER_DELETE_WITHOUT_RECO": "1"}
"""Settings under which age alone decides which local files go, but for those of the newest run."""


def two_runs(folder: Folder, *, days: float = 40.0) -> list[Path]:
    """Stage an old run and the newest one, which always stays; return the files of the old one."""
    for number in (1, 2):
        write_run(folder.data, number, events=1, size_bytes=1000)
    old = sorted(folder.data.glob("run00001*"))
    age(old, days)
    folder.stage()
    forget_times(folder)
    return old


def forget_times(folder: Folder) -> None:
    """Let files alone tell how old runs are."""
    catalog = Catalog(f"sqlite:///{folder.catalog_file}")
    with catalog.write() as session:
        for row in session.query(Run):
            row.start_time = row.stop_time = None
    catalog.close()


def age(paths: list[Path], days: float) -> None:
    """Let files be older."""
    moment = time.time() - timedelta(days=days).total_seconds()
    for path in paths:
        os.utime(path, (moment, moment))
