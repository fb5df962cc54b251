"""Panels and queries that the dashboards are made of.

Times are those of `runs`, in UTC; of runs that are in the run log alone they are the DAQ computer's
local times.
"""

from typing import Any

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
