"""The dashboard run: how data taking goes."""

from typing import Any

from panels import (
    BYTES, COLORED, GOOD_AT_0, IN_TIME, RUNS, SECONDS, START, STATE_COLORS, STOP, WIDE,
    dashboard, series, stat, steps, table,
)


def run_dashboard() -> dict[str, Any]:
    """How data taking goes."""
    last = f"FROM {RUNS} ORDER BY l.run_number DESC LIMIT 1"
    return dashboard(
        "cygno-run",
        "CYGNO runs",
        "How data taking goes: what runs, how much, and what was not as it should be.",
        [
            stat("Run", "The latest run of the run log.", f"SELECT l.run_number AS run {last}", "none"),
            stat(
                "State",
                "A run without stop time goes on, or its logger died.",
                f"SELECT IF({STOP} IS NULL, 'running', 'stopped') AS state {last}",
                mappings=[{"type": "value", "options": {
                    "running": {"color": "green", "index": 0}, "stopped": {"color": "orange", "index": 1}}}],
            ),
            stat(
                "Since the last stop",
                "How long ago the latest run that ended did so.",
                f"SELECT TIMESTAMPDIFF(SECOND, MAX({STOP}), UTC_TIMESTAMP()) AS seconds FROM {RUNS}",
                "s",
                thresholds=steps((None, "green"), (1800, "yellow"), (7200, "red")),
            ),
            stat("Runs", "Runs begun in the time shown.", f"SELECT COUNT(*) AS runs FROM {RUNS} WHERE {IN_TIME}"),
            stat(
                "Events",
                "Events of these runs.",
                f"SELECT SUM(l.number_of_events) AS events FROM {RUNS} WHERE {IN_TIME}",
            ),
            stat(
                "Frames lost",
                "Frames that frontends counted as lost, in these runs.",
                f"SELECT COALESCE(SUM(r.frames_lost), 0) AS lost FROM {RUNS} WHERE {IN_TIME}",
                thresholds=GOOD_AT_0,
            ),
            stat(
                "Data taking",
                "Part of the time shown in which runs went on.",
                f"""SELECT 100 * SUM({SECONDS}) / ($__unixEpochTo() - $__unixEpochFrom()) AS percent
                    FROM {RUNS} WHERE {IN_TIME}""",
                "percent",
                thresholds=steps((None, "red"), (50, "yellow"), (80, "green")),
                min=0,
                max=100,
            ),
            stat(
                "Pedestal",
                "How long ago the latest pedestal run was taken.",
                f"""SELECT TIMESTAMPDIFF(SECOND, MAX({START}), UTC_TIMESTAMP()) AS seconds
                    FROM {RUNS} WHERE l.pedestal_run = 1""",
                "s",
                thresholds=steps((None, "green"), (86400, "yellow"), (259200, "red")),
            ),
            stat(
                "Runs with notes",
                "Runs in which something was not as it should be; see the table below.",
                "SELECT COUNT(*) AS runs FROM runs r WHERE $__timeFilter(r.start_time) AND r.note IS NOT NULL",
                thresholds=GOOD_AT_0,
            ),
            stat(
                "Not in the cloud",
                "Ended runs whose file is not in the cloud yet; see the dashboard of storage.",
                f"""SELECT COUNT(*) AS runs FROM {RUNS} WHERE {IN_TIME} AND {STOP} IS NOT NULL
                    AND l.storage_cloud_status = -1""",
                thresholds=steps((None, "green"), (5, "yellow"), (50, "red")),
            ),
            stat(
                "Quality",
                "How the analyzer found the latest run.",
                "SELECT verdict FROM quality ORDER BY run_number DESC LIMIT 1",
                mappings=STATE_COLORS,
            ),
            stat(
                "Data",
                "Size of the raw files of these runs.",
                """SELECT SUM(f.size_bytes) AS bytes FROM files f JOIN runs r ON r.run_number = f.run_number
                    WHERE f.kind = 'raw' AND $__timeFilter(r.start_time)""",
                "decbytes",
            ),
            series(
                "Events of each run",
                "",
                f"""SELECT {START} AS time, l.number_of_events AS events FROM {RUNS}
                    WHERE {IN_TIME} AND l.number_of_events IS NOT NULL ORDER BY time""",
                style="bars",
                minimum=0,
            ),
            series(
                "Event rate",
                "Events of a run over its duration.",
                f"""SELECT {START} AS time, l.number_of_events / NULLIF({SECONDS}, 0) AS "rate"
                    FROM {RUNS} WHERE {IN_TIME} AND l.number_of_events > 0 ORDER BY time""",
                unit="hertz",
                style="points",
                minimum=0,
            ),
            series(
                "Hours of data taking",
                "In each hour, how many minutes of runs began.",
                f"""SELECT $__timeGroupAlias(t.start, '1h', 0), SUM(t.seconds) / 60 AS minutes
                    FROM (SELECT {START} AS start, {SECONDS} AS seconds FROM {RUNS} WHERE {IN_TIME}) t
                    GROUP BY 1 ORDER BY 1""",
                unit="m",
                style="bars",
                minimum=0,
            ),
            series(
                "GEM and drift voltages",
                "As they were set at begin of run.",
                f"""SELECT {START} AS time, l.GEM1_V AS "GEM 1", l.GEM2_V AS "GEM 2", l.GEM3_V AS "GEM 3",
                    l.DRIFT_V AS drift FROM {RUNS} WHERE {IN_TIME} ORDER BY time""",
                unit="volt",
                style="points",
            ),
            table(
                "Not as it should be",
                "Truncated files, counts that differ between two stages, files under another run's name.",
                """SELECT r.run_number AS run, r.start_time AS start, r.events_sent AS sent,
                    r.trigger_events AS "in the file", r.frames_lost AS "frames lost", r.note
                    FROM runs r WHERE $__timeFilter(r.start_time) AND r.note IS NOT NULL
                    ORDER BY r.run_number DESC LIMIT 100""",
                height=7,
                note=WIDE,
            ),
            table(
                "Runs",
                "The latest 200 of the time shown.",
                f"""SELECT l.run_number AS run, {START} AS start, {SECONDS} AS duration,
                    l.number_of_events AS events,
                    CASE WHEN l.pedestal_run = 1 THEN 'pedestal' WHEN l.source_type > 0 THEN 'source'
                    ELSE 'background' END AS type,
                    l.run_description AS description, l.exposure_sec AS exposure, l.GEM1_V AS "GEM 1",
                    l.file_size AS size, q.verdict AS quality, l.file_s3_tag AS tag
                    FROM {RUNS} LEFT JOIN quality q ON q.run_number = l.run_number
                    WHERE {IN_TIME} ORDER BY l.run_number DESC LIMIT 200""",
                height=14,
                duration={"unit": "dtdurations"},
                exposure={"unit": "s"},
                size=BYTES,
                quality=COLORED,
                description=WIDE,
            ),
        ],
    )
