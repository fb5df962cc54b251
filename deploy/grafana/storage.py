"""The dashboard storage: where the files are."""

from typing import Any

from panels import (
    BYTES, COLORED, GOOD_AT_0, WIDE, dashboard, series, stat, steps, table,
)


def storage_dashboard() -> dict[str, Any]:
    """Where the files are."""
    not_there = "r.state NOT IN ('verified', 'catalogued')"
    of_file = "replicas r JOIN files f ON f.id = r.file_id"
    tried = "transfers t JOIN replicas r ON r.id = t.replica_id JOIN files f ON f.id = r.file_id"
    return dashboard(
        "cygno-storage",
        "CYGNO storage",
        "Where every file is, how fast it goes there, and what does not.",
        [
            stat(
                "Failed",
                "Copies whose last try failed; the table below says why and when the next is.",
                "SELECT COUNT(*) AS failed FROM replicas WHERE state = 'failed'",
                thresholds=GOOD_AT_0,
            ),
            stat(
                "Conflicts",
                "Another content is there under the same name: a person must decide.",
                "SELECT COUNT(*) AS conflicts FROM replicas WHERE conflict = 1",
                thresholds=GOOD_AT_0,
            ),
            stat(
                "Not there yet",
                "Bytes of copies that no place has confirmed.",
                f"""SELECT COALESCE(SUM(f.size_bytes), 0) AS bytes FROM {of_file}
                    WHERE {not_there} AND f.state <> 'deleted'""",
                "decbytes",
            ),
            stat(
                "Oldest not there",
                "Since when the oldest of them has been waiting.",
                f"""SELECT COALESCE(TIMESTAMPDIFF(SECOND, MIN(f.discovered_at), UTC_TIMESTAMP()), 0) AS seconds
                    FROM {of_file} WHERE {not_there} AND f.state <> 'deleted'""",
                "s",
                thresholds=steps((None, "green"), (3600, "yellow"), (21600, "red")),
            ),
            stat(
                "Files not read yet",
                "Files that were seen; each is read when it is closed.",
                "SELECT COUNT(*) AS files FROM files WHERE state IN ('discovered', 'failed')",
            ),
            stat(
                "Truncated",
                "Raw files in the time shown whose logger did not close them.",
                "SELECT COUNT(*) AS files FROM files WHERE truncated = 1 AND $__timeFilter(discovered_at)",
                thresholds=GOOD_AT_0,
            ),
            series(
                "Sent",
                "Bytes that transfers of each hour sent, by place.",
                f"""SELECT $__timeGroupAlias(t.started_at, '1h'), r.place AS metric, SUM(t.bytes_sent) AS bytes
                    FROM {tried} WHERE $__timeFilter(t.started_at) GROUP BY 1, 2 ORDER BY 1""",
                unit="decbytes",
                style="bars",
                minimum=0,
            ),
            series(
                "Rate",
                "Of each transfer that was verified, verification included.",
                f"""SELECT t.started_at AS time, r.place AS metric, t.rate_bytes_s AS rate FROM {tried}
                    WHERE $__timeFilter(t.started_at) AND t.outcome = 'verified' AND t.bytes_sent > 0
                    ORDER BY time""",
                unit="Bps",
                style="points",
                minimum=0,
            ),
            series(
                "From disk to place",
                "How long after it was seen a file was verified at each place.",
                f"""SELECT r.verified_at AS time, r.place AS metric,
                    TIMESTAMPDIFF(MICROSECOND, f.discovered_at, r.verified_at) / 1e6 AS wait
                    FROM {of_file} WHERE $__timeFilter(r.verified_at) ORDER BY time""",
                unit="s",
                style="points",
                minimum=0,
            ),
            series(
                "Tries by their end",
                "",
                """SELECT $__timeGroupAlias(started_at, '1h'), outcome AS metric, COUNT(*) AS tries
                    FROM transfers WHERE $__timeFilter(started_at) GROUP BY 1, 2 ORDER BY 1""",
                style="bars",
                minimum=0,
            ),
            table(
                "Copies by place and state",
                "All files of the catalog.",
                f"""SELECT r.place, r.kind, IF(r.required, 'yes', 'no') AS required, r.state,
                    COUNT(*) AS files, SUM(f.size_bytes) AS bytes, MAX(r.checked_at) AS "last asked"
                    FROM {of_file} GROUP BY 1, 2, 3, 4 ORDER BY 1, 4""",
                width=12,
                bytes=BYTES,
                state=COLORED,
            ),
            table(
                "Run log",
                "CYGNO's status numbers: -1 not, 0 written or deleted, 1 there, 2 removed.",
                """SELECT storage_local_status AS local, storage_cloud_status AS cloud,
                    storage_tape_status AS tape, COUNT(*) AS runs, SUM(NULLIF(file_size, -1)) AS bytes,
                    MIN(run_number) AS first, MAX(run_number) AS last
                    FROM Runlog GROUP BY 1, 2, 3 ORDER BY runs DESC""",
                width=12,
                bytes=BYTES,
            ),
            table(
                "What failed, and when it is tried again",
                "Files that cannot be read, and copies that cannot be made.",
                f"""SELECT f.run_number AS run, f.name AS file, r.place, r.state, r.tries,
                    r.next_try_at AS "next try", r.reason FROM {of_file} WHERE r.state = 'failed' OR r.conflict = 1
                    UNION ALL SELECT run_number, name, '', state, tries, next_try_at, reason
                    FROM files WHERE state = 'failed' ORDER BY run DESC LIMIT 200""",
                reason=WIDE,
                state=COLORED,
            ),
            table(
                "Tries that failed",
                "In the time shown, the latest first.",
                f"""SELECT t.started_at AS start, f.name AS file, r.place, t.number AS try,
                    t.duration_s AS duration, t.bytes_sent AS sent, t.outcome, t.reason FROM {tried}
                    WHERE $__timeFilter(t.started_at) AND t.outcome IN ('failed', 'interrupted')
                    ORDER BY t.started_at DESC LIMIT 200""",
                duration={"unit": "s"},
                sent=BYTES,
                reason=WIDE,
            ),
            table(
                "Deleted here",
                "Local files that were deleted in the time shown, and why that was right.",
                """SELECT deleted_at AS deleted, run_number AS run, name AS file, size_bytes AS size, reason
                    FROM files WHERE state = 'deleted' AND $__timeFilter(deleted_at)
                    ORDER BY deleted_at DESC LIMIT 200""",
                size=BYTES,
                reason=WIDE,
            ),
        ],
    )
