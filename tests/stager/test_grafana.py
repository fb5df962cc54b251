"""Grafana's dashboards: every query of theirs runs on a filled MariaDB, and returns what is shown.

Grafana itself is not at hand; its macros and variables are expanded as its MySQL data source does
(``pkg/tsdb/mysql/macros.go``: a macro ends at the first ``)``, its arguments part at commas).
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from analyzer.summary import KEYS
from stager.models import now
from tests.stager.filled import fill
from tests.stager.mariadb import MariaDb

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
DASHBOARDS = {
    path.name: json.loads(path.read_text()) for path in (GRAFANA / "dashboards").glob("*.json")
}
SOURCE = yaml.safe_load((GRAFANA / "provisioning/datasources/catalog.yaml").read_text())

FROM, TO = now() - timedelta(hours=24), now() + timedelta(hours=1)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MACRO = re.compile(r"\$(__[A-Za-z]+)\(([^)]*)\)")
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}")


def panels() -> list[Any]:
    """Return every query of every panel."""
    return [
        pytest.param(panel, target, id=f"{name}-{panel['id']}-{target['refId']}-{panel['title']}")
        for name, board in sorted(DASHBOARDS.items())
        for panel in board["panels"]
        for target in panel.get("targets", [])
    ]


def variables() -> list[Any]:
    return [
        pytest.param(board, variable, id=f"{name}-{variable['name']}")
        for name, board in sorted(DASHBOARDS.items())
        for variable in board["templating"]["list"]
    ]


def expand(sql: str, board: dict[str, Any]) -> str:
    """Return what Grafana sends to the database."""
    chosen = {v["name"]: v["current"]["value"] for v in board["templating"]["list"]}

    def variable(match: re.Match[str]) -> str:
        value = chosen[match[1]]
        assert match[2] == "sqlstring", "a text from outside must be quoted by Grafana"
        values = value if isinstance(value, list) else [value]
        return ",".join("'" + one.replace("'", "''") + "'" for one in values)

    def macro(match: re.Match[str]) -> str:
        arguments = [argument.strip() for argument in match[2].split(",")]
        begin, end = int(FROM.timestamp()), int(TO.timestamp())
        match match[1]:
            case "__timeFilter":
                return f"{arguments[0]} BETWEEN FROM_UNIXTIME({begin}) AND FROM_UNIXTIME({end})"
            case "__timeFrom":
                return f"FROM_UNIXTIME({begin})"
            case "__timeTo":
                return f"FROM_UNIXTIME({end})"
            case "__unixEpochFrom":
                return str(begin)
            case "__unixEpochTo":
                return str(end)
            case "__timeGroup" | "__timeGroupAlias":
                text = arguments[1].strip("'\"")
                step = int(text[:-1]) * SECONDS[text[-1]]
                group = f"UNIX_TIMESTAMP({arguments[0]}) DIV {step} * {step}"
                return f'{group} AS "time"' if match[1].endswith("Alias") else group
        raise AssertionError(f"Grafana's MySQL source has no macro {match[1]}")

    expanded = _MACRO.sub(macro, _VARIABLE.sub(variable, sql))
    assert "$" not in expanded.replace("'$.", ""), expanded
    return expanded


@pytest.fixture(scope="module")
def reader(mariadb: MariaDb) -> Iterator[Any]:
    """A connection as Grafana has it: of a user who may only read, in UTC."""
    database = mariadb.new_database()
    figures = {figure.key: 3 if figure.kind in (int, float) else "" for figure in KEYS}
    fill(mariadb.url(database), 60, figures).close()
    environment = {
        "PATH": "/usr/bin:/bin",
        "CYGNO_DB_OPTIONS": f"--socket={mariadb.socket}",
        "CYGNO_DB_NAME": database,
        "CYGNO_DB_READER": "it's a reader",
        "CYGNO_DB_READER_PASSWORD": "pa'ss\\word",
    }
    script = GRAFANA.parent / "mariadb" / "reader.sh"
    subprocess.run(["sh", str(script)], check=True, env=environment, timeout=30)
    connection = mariadb.connect(database, user="it's a reader", password="pa'ss\\word")
    with connection.cursor() as cursor:
        zone = SOURCE["datasources"][0]["jsonData"]["timezone"]
        cursor.execute("SET time_zone = %s", (zone,))
        yield cursor
    connection.close()


def test_dashboards_are_those_that_are_made() -> None:
    script = [sys.executable, str(GRAFANA / "make.py"), "--check"]
    made = subprocess.run(script, capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stdout
    assert sorted(DASHBOARDS) == ["quality.json", "run.json", "slow-control.json", "storage.json"]


@pytest.mark.parametrize(("panel", "target"), panels())
def test_every_query_returns_what_is_shown(
    reader: Any, panel: dict[str, Any], target: dict[str, Any]
) -> None:
    board = next(b for b in DASHBOARDS.values() if panel in b["panels"])
    reader.execute(expand(target["rawSql"], board))
    rows = reader.fetchall()
    names = [column[0] for column in reader.description]
    assert rows, target["rawSql"]
    if target["format"] == "time_series":
        assert names[0] == "time"
        times = [_seconds(row[0]) for row in rows]
        assert times == sorted(times)
        assert all(FROM.timestamp() - 3600 <= time <= TO.timestamp() for time in times)
        values = [
            v
            for row in rows
            for n, v in zip(names, row, strict=True)
            if n not in ("time", "metric")
        ]
        assert values and all(float(value) is not None for value in values)
    if panel["type"] == "stat":
        assert len(rows) == 1 and len(names) == 1 and rows[0][0] is not None
    for override in panel["fieldConfig"]["overrides"]:
        assert override["matcher"]["options"] in names


def _seconds(value: Any) -> float:
    return value.replace(tzinfo=UTC).timestamp() if isinstance(value, datetime) else float(value)


@pytest.mark.parametrize(("board", "variable"), variables())
def test_choices_offer_their_default(
    reader: Any, board: dict[str, Any], variable: dict[str, Any]
) -> None:
    reader.execute(expand(variable["query"], board))
    offered = [row[0] for row in reader.fetchall()]
    default = variable["current"]["value"]
    assert set([default] if isinstance(default, str) else default) <= set(offered)


def test_quantities_are_those_of_the_analyzer() -> None:
    known = {figure.key for figure in KEYS}
    named = {
        quantity
        for board in DASHBOARDS.values()
        for panel in board["panels"]
        for target in panel.get("targets", [])
        for quantity in re.findall(r"quantity = '(\w+)'", target["rawSql"])
    }
    assert len(named) > 20 and named <= known


def test_every_panel_stands_on_its_own_place_and_asks_the_provisioned_source() -> None:
    uid = SOURCE["datasources"][0]["uid"]
    identities = [board["uid"] for board in DASHBOARDS.values()]
    assert len(set(identities)) == len(identities)
    for board in DASHBOARDS.values():
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
            taken |= cells
            assert all(t["datasource"]["uid"] == uid for t in panel.get("targets", []))


def test_the_reader_may_not_write(reader: Any) -> None:
    with pytest.raises(Exception, match="denied"):
        reader.execute("DELETE FROM Runlog")
