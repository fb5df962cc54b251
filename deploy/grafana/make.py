"""Write the dashboards: ``python deploy/grafana/make.py [--check]``.

The JSON files in ``dashboards/`` are what Grafana loads; they are made here, so that panels of one
kind look alike. Every query in them is run against MariaDB by the tests. Times are those of `runs`,
in UTC; of runs that are in the run log alone they are the DAQ computer's local times.
"""

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = {"type": "mysql", "uid": "cygno-catalog"}
WIDTH = 24

START = "COALESCE(r.start_time, l.start_time)"
STOP = "COALESCE(r.stop_time, l.stop_time)"
RUNS = "Runlog l LEFT JOIN runs r ON r.run_number = l.run_number"
# Grafana's macros take plain columns: they end at the first parenthesis and part at commas.
IN_TIME = f"{START} BETWEEN $__timeFrom() AND $__timeTo()"
SECONDS = f"TIMESTAMPDIFF(SECOND, {START}, {STOP})"

Panel = dict[str, Any]


def query(sql: str, form: str = "table", name: str = "A") -> dict[str, Any]:
    """Return one query of a panel."""
    text = " ".join(sql.split())
    return {"refId": name, "datasource": SOURCE, "format": form, "rawQuery": True, "rawSql": text}


def panel(kind: str, title: str, width: int, height: int, text: str, *queries: Any) -> Panel:
    """Return a panel without its place; `text` is what its little i says."""
    return {
        "type": kind,
        "title": title,
        "description": text,
        "datasource": SOURCE,
        "gridPos": {"w": width, "h": height},
        "targets": list(queries),
        "fieldConfig": {"defaults": {}, "overrides": []},
        "options": {},
    }


def steps(*marks: tuple[float | None, str]) -> dict[str, Any]:
    """Return colours from thresholds on."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in marks]}


def stat(
    title: str, text: str, sql: str, unit: str = "short", width: int = 4, **defaults: Any
) -> Panel:
    """Return a number."""
    made = panel("stat", title, width, 4, text, query(sql))
    made["fieldConfig"]["defaults"] = {"unit": unit, **defaults}
    made["options"] = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "/.*/", "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
    }
    return made


def series(
    title: str,
    text: str,
    *sql: str,
    unit: str = "short",
    width: int = 12,
    height: int = 8,
    style: str = "line",
    span_nulls: bool = False,
    minimum: float | None = None,
) -> Panel:
    """Return lines, points or bars over time; each query has a column ``time``."""
    names = (query(one, "time_series", chr(ord("A") + index)) for index, one in enumerate(sql))
    made = panel("timeseries", title, width, height, text, *names)
    draw = {"line": "line", "points": "points", "bars": "bars"}[style]
    made["fieldConfig"]["defaults"] = {
        "unit": unit,
        **({} if minimum is None else {"min": minimum}),
        "custom": {
            "drawStyle": draw,
            "lineWidth": 1,
            "pointSize": 5,
            "showPoints": "auto" if draw == "line" else "always",
            "fillOpacity": 60 if draw == "bars" else 0,
            "spanNulls": span_nulls,
        },
    }
    made["options"] = {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull"]},
        "tooltip": {"mode": "multi", "sort": "none"},
    }
    return made


def table(title: str, text: str, sql: str, width: int = 24, height: int = 9, **columns: Any) -> Panel:
    """Return a table; `columns` gives properties to columns by name (``_`` for a space)."""
    made = panel("table", title, width, height, text, query(sql))
    made["fieldConfig"]["defaults"] = {"custom": {"align": "auto", "filterable": True}}
    for name, properties in columns.items():
        made["fieldConfig"]["overrides"].append(
            {
                "matcher": {"id": "byName", "options": name.replace("_", " ")},
                "properties": [{"id": key, "value": value} for key, value in properties.items()],
            }
        )
    made["options"] = {"showHeader": True, "cellHeight": "sm"}
    return made


def row(title: str) -> Panel:
    """Return a heading."""
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"w": WIDTH, "h": 1}}


def variable(name: str, label: str, sql: str, multi: bool, default: Any) -> dict[str, Any]:
    """Return a choice that the reader of a dashboard has."""
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": SOURCE,
        "query": " ".join(sql.split()),
        "definition": " ".join(sql.split()),
        "refresh": 2,
        "multi": multi,
        "includeAll": False,
        "sort": 0,
        "current": {"text": default, "value": default},
    }


def dashboard(
    uid: str, title: str, text: str, panels: list[Panel], variables: Any = (), since: str = "now-24h"
) -> dict[str, Any]:
    """Return a dashboard; panels are set from left to right, row by row."""
    x = y = height = 0
    for number, one in enumerate(panels, 1):
        size = one["gridPos"]
        if x + size["w"] > WIDTH or one["type"] == "row":
            x, y, height = 0, y + height, 0
        one["id"] = number
        one["gridPos"] = {"x": x, "y": y, **size}
        x, height = x + size["w"], max(height, size["h"])
    return {
        "uid": uid,
        "title": title,
        "description": text,
        "tags": ["cygno"],
        "timezone": "browser",
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "1m",
        "time": {"from": since, "to": "now"},
        "annotations": {"list": []},
        "links": [
            {"type": "dashboards", "title": "CYGNO", "tags": ["cygno"], "asDropdown": True,
             "includeVars": False, "keepTime": True, "targetBlank": False, "icon": "external link"}
        ],
        "templating": {"list": list(variables)},
        "panels": panels,
    }


STATE_COLORS = [
    {"type": "value", "options": {
        "failed": {"color": "red", "index": 0}, "conflict": {"color": "red", "index": 1},
        "troubled": {"color": "red", "index": 2}, "warning": {"color": "yellow", "index": 3},
        "good": {"color": "green", "index": 4}, "catalogued": {"color": "green", "index": 5},
        "verified": {"color": "green", "index": 6}}}
]
COLORED = {"custom.cellOptions": {"type": "color-text"}, "mappings": STATE_COLORS}
BYTES = {"unit": "decbytes"}
WIDE = {"custom.width": 420}
GOOD_AT_0 = steps((None, "green"), (1, "red"))


def quality_value(quantity: str) -> str:
    """Return a query of one quantity of the analyzer's summaries over time."""
    return f"""SELECT r.start_time AS time, q.value AS "{quantity}"
        FROM quality_values q JOIN runs r ON r.run_number = q.run_number
        WHERE $__timeFilter(r.start_time) AND q.quantity = '{quantity}' AND q.value IS NOT NULL
        ORDER BY time"""


def slow_value(name: str, equipment: str, bank: str) -> str:
    """Return a query of one channel's mean over time."""
    return f"""SELECT r.start_time AS time, s.mean AS "{name}"
        FROM slow_control s JOIN runs r ON r.run_number = s.run_number
        WHERE $__timeFilter(r.start_time) AND s.equipment = '{equipment}'
        AND s.bank = '{bank}' AND s.name = '{name}' ORDER BY time"""


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


def quality_dashboard() -> dict[str, Any]:
    """How good the data are."""
    numbers = "FROM quality_values WHERE value IS NOT NULL"
    joined = "quality q JOIN runs r ON r.run_number = q.run_number"

    def total(quantity: str) -> str:
        return f"""SELECT COALESCE(SUM(v.value), 0) AS total FROM quality_values v
            JOIN runs r ON r.run_number = v.run_number
            WHERE v.quantity = '{quantity}' AND $__timeFilter(r.start_time)"""

    return dashboard(
        "cygno-quality",
        "CYGNO data quality",
        "What the analyzer says of each run: noise, light, clusters, 55Fe line, PMTs.",
        [
            stat(
                "Good runs",
                "Of the runs that were analyzed in the time shown.",
                f"""SELECT 100 * AVG(q.verdict = 'good') AS percent FROM {joined}
                    WHERE $__timeFilter(r.start_time)""",
                "percent",
                thresholds=steps((None, "red"), (80, "yellow"), (95, "green")),
            ),
            stat(
                "Analyzed",
                "Events in the results of these runs.",
                f"SELECT SUM(q.events) AS events FROM {joined} WHERE $__timeFilter(r.start_time)",
            ),
            stat("Events lost", "Events of these runs that are not in the results.", total("events_lost"),
                 thresholds=GOOD_AT_0),
            stat("Sparks", "Frames of these runs with sparks.", total("spark_frames"),
                 thresholds=steps((None, "green"), (10, "yellow"), (100, "red"))),
            stat("Bad frames", "Frames that could not be analyzed.", total("bad_frames"),
                 thresholds=GOOD_AT_0),
            stat("Without pedestal", "Frames that were analyzed with an estimated pedestal.",
                 total("fallback_frames"), thresholds=steps((None, "green"), (1, "yellow"))),
            row("Camera"),
            series("Pixel noise", "Noise of pixels without light, mean over the frames of a run.",
                   quality_value("noise_adu"), quality_value("row_noise_adu"),
                   quality_value("pedestal_noise_adu"), style="points"),
            series("Image mean", "Mean of all pixels, and their drift from the pedestal.",
                   quality_value("image_mean_adu"), style="points"),
            series("Pedestal drift", "Mean of pixels without light above the pedestal. A new pedestal is "
                   "due where it grows.", quality_value("pedestal_drift_adu"), style="points"),
            series("Light outside clusters", "A growing one tells of light leaks or a bad pedestal.",
                   quality_value("light_outside_adu_per_pixel"), style="points"),
            row("Clusters"),
            series("Clusters per frame", "", quality_value("clusters_per_frame"), style="points", minimum=0),
            series("Rate of clusters", "In the time of exposure.", quality_value("cluster_rate_hz"),
                   unit="hertz", style="points", minimum=0),
            series("55Fe line", "Where it is; runs with enough spots alone.",
                   quality_value("fe55_peak_adu"), style="points"),
            series("55Fe resolution", "Sigma over place of the line.",
                   quality_value("fe55_resolution_percent"), unit="percent", style="points", minimum=0),
            series("Light yield", "Place of the 55Fe line over 5.9 keV.",
                   quality_value("light_yield_adu_per_kev"), style="points"),
            series("Alphas and muons", "Tracks of each kind in a run.",
                   quality_value("alpha_clusters"), quality_value("muon_clusters"), style="points", minimum=0),
            row("PMTs and trigger"),
            series("PMT noise", "", quality_value("pmt_noise_counts"), style="points", minimum=0),
            series("PMT charge", "Mean over the events of a run.", quality_value("pmt_charge_pc"), style="points"),
            series("Trigger rate", "Triggers in the live time.", quality_value("trigger_rate_hz"),
                   unit="hertz", style="points", minimum=0),
            series("Live time", "Part of the time in which triggers could be taken.",
                   quality_value("live_percent"), unit="percent", style="points"),
            row("Any quantity"),
            series(
                "$quantity",
                "Choose it above; all that the analyzer's summaries say can be shown.",
                """SELECT r.start_time AS time, q.quantity AS metric, q.value FROM quality_values q
                    JOIN runs r ON r.run_number = q.run_number WHERE $__timeFilter(r.start_time)
                    AND q.quantity IN (${quantity:sqlstring}) AND q.value IS NOT NULL ORDER BY time""",
                width=24,
                style="points",
            ),
            table(
                "Runs that were not good",
                "troubled: not all of the run could be analyzed; warning: figures out of their limits.",
                f"""SELECT q.run_number AS run, r.start_time AS start, q.verdict, q.events,
                    JSON_UNQUOTE(JSON_EXTRACT(q.summary, '$.trouble')) AS trouble,
                    JSON_UNQUOTE(JSON_EXTRACT(q.summary, '$.limits_violated')) AS "out of limits"
                    FROM {joined} WHERE $__timeFilter(r.start_time) AND q.verdict <> 'good'
                    ORDER BY q.run_number DESC LIMIT 200""",
                verdict=COLORED,
                trouble=WIDE,
            ),
        ],
        [variable("quantity", "Quantity", f"SELECT DISTINCT quantity {numbers} ORDER BY 1", True,
                  ["noise_adu"])],
        since="now-7d",
    )


def slow_control_dashboard() -> dict[str, Any]:
    """Voltages, currents, gas, temperatures."""

    def both(quantity: str, title: str, text: str, unit: str) -> Panel:
        return series(title, text, quality_value(quantity), unit=unit, style="points", width=8)

    chosen = """slow_control s JOIN runs r ON r.run_number = s.run_number
        WHERE $__timeFilter(r.start_time) AND s.equipment = ${equipment:sqlstring}
        AND s.name IN (${channel:sqlstring})"""
    return dashboard(
        "cygno-slow-control",
        "CYGNO slow control",
        "Voltages, currents, gas and temperatures; each point is the mean over one file of a run.",
        [
            row("High voltage"),
            series(
                "GEM, measured",
                "Names are those of the LNGS detector.",
                *(slow_value(name, "HV", "MSRD") for name in ("VGEM1", "VGEM2", "VGEM3")),
                unit="volt",
                style="points",
            ),
            series(
                "Drift and transfers, measured",
                "",
                *(slow_value(name, "HV", "MSRD") for name in ("Drift", "Transf1", "Transf2")),
                unit="volt",
                style="points",
            ),
            series(
                "PMTs, measured",
                "",
                *(slow_value(f"PMT{number}", "HV", "MSRD") for number in (1, 2, 3, 4)),
                unit="volt",
                style="points",
            ),
            series(
                "Currents",
                "Mean over the run, every channel of the crate.",
                """SELECT r.start_time AS time, s.name AS metric, s.mean AS current
                    FROM slow_control s JOIN runs r ON r.run_number = s.run_number
                    WHERE $__timeFilter(r.start_time) AND s.equipment = 'HV'
                    AND s.bank = 'CRNT' ORDER BY time""",
                unit="µA",
                style="points",
            ),
            series(
                "Measured minus demanded",
                "More than a volt tells of a channel in trip, ramp or trouble.",
                """SELECT r.start_time AS time, m.name AS metric,
                    m.mean - d.mean AS difference FROM slow_control m JOIN slow_control d
                    ON d.run_number = m.run_number AND d.subrun = m.subrun AND d.equipment = m.equipment
                    AND d.bank = 'DMND' AND d.channel = m.channel JOIN runs r ON r.run_number = m.run_number
                    WHERE $__timeFilter(r.start_time) AND m.bank = 'MSRD'
                    AND m.equipment = 'HV' ORDER BY time""",
                unit="volt",
                style="points",
            ),
            series(
                "Most restless channels",
                "Spread over its run, over its mean; the ten largest of voltages that were on.",
                """SELECT r.start_time AS time, s.name AS metric,
                    100 * s.sigma / s.mean AS spread FROM slow_control s
                    JOIN runs r ON r.run_number = s.run_number
                    WHERE $__timeFilter(r.start_time) AND s.equipment = 'HV'
                    AND s.bank = 'MSRD' AND s.mean > 20 AND s.name IN (SELECT name FROM (
                    SELECT i.name FROM slow_control i JOIN runs n ON n.run_number = i.run_number
                    WHERE $__timeFilter(n.start_time) AND i.equipment = 'HV' AND i.bank = 'MSRD'
                    AND i.mean > 20 GROUP BY i.name ORDER BY MAX(i.sigma / i.mean) DESC LIMIT 10)
                    restless) ORDER BY time""",
                unit="percent",
                style="points",
            ),
            row("Gas and environment, as the analyzer converts the inputs"),
            both("gas_temperature_c", "Gas temperature", "", "celsius"),
            both("gas_pressure_mbar", "Gas pressure", "", "pressurembar"),
            both("gas_density_g_per_l", "Gas density", "In g/l.", "short"),
            both("room_temperature_c", "Room temperature", "", "celsius"),
            both("atmospheric_pressure_mbar", "Atmospheric pressure", "", "pressurembar"),
            both("humidity_percent", "Humidity", "", "humidity"),
            row("Camera and trigger module"),
            series(
                "Sensor temperature",
                "Of each camera.",
                """SELECT r.start_time AS time,
                    CONCAT(s.equipment, ' ', s.name) AS metric, s.mean AS temperature
                    FROM slow_control s JOIN runs r ON r.run_number = s.run_number
                    WHERE $__timeFilter(r.start_time) AND s.bank = 'TCAM'
                    ORDER BY time""",
                unit="celsius",
                style="points",
            ),
            series(
                "Rates of the trigger module",
                "",
                """SELECT r.start_time AS time, s.name AS metric, s.mean AS rate
                    FROM slow_control s JOIN runs r ON r.run_number = s.run_number
                    WHERE $__timeFilter(r.start_time) AND s.bank = 'TMOD'
                    ORDER BY time""",
                unit="hertz",
                style="points",
                minimum=0,
            ),
            row("Any channel"),
            series(
                "$channel of $equipment, mean",
                "Choose equipment and channels above; inputs are in mA or V, as they are read.",
                f"""SELECT r.start_time AS time, CONCAT(s.name, ' ', s.bank) AS metric,
                    s.mean AS value FROM {chosen} ORDER BY time""",
                style="points",
            ),
            series(
                "$channel of $equipment, lowest and highest",
                "Over each run.",
                f"""SELECT r.start_time AS time, CONCAT(s.name, ' ', s.bank) AS metric,
                    s.lowest, s.highest FROM {chosen} ORDER BY time""",
                style="points",
            ),
            table(
                "The latest run",
                "Every channel of it.",
                """SELECT run_number AS run, equipment, bank, name AS channel, unit, readings, mean, sigma,
                    lowest, highest, last, last_at AS "last reading" FROM slow_control
                    WHERE run_number = (SELECT MAX(run_number) FROM slow_control)
                    ORDER BY equipment, bank, channel""",
                height=14,
            ),
        ],
        [
            variable("equipment", "Equipment", "SELECT DISTINCT equipment FROM slow_control ORDER BY 1",
                     False, "Environment"),
            variable(
                "channel",
                "Channels",
                """SELECT DISTINCT name FROM slow_control WHERE equipment = ${equipment:sqlstring}
                    ORDER BY 1""",
                True,
                ["P0IIn0"],
            ),
        ],
        since="now-7d",
    )


DASHBOARDS = {
    "run.json": run_dashboard,
    "storage.json": storage_dashboard,
    "quality.json": quality_dashboard,
    "slow-control.json": slow_control_dashboard,
}


def main() -> int:
    """Write all of them; with ``--check`` only tell which are stale, and return 1 if any is."""
    is_check = "--check" in sys.argv[1:]
    stale = []
    for name, make in DASHBOARDS.items():
        path, text = FOLDER / name, json.dumps(make(), indent=1, ensure_ascii=False) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not is_check:
                path.write_text(text, encoding="utf-8")
    for name in stale:
        sys.stdout.write(f"{name} {'is stale' if is_check else 'written'}\n")
    return 1 if is_check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
