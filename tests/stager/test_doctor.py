"""``cygno-stager doctor`` on real servers: what is well is said, what is not gets a mend."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from stager import probes
from stager.catalog import Catalog
from stager.doctor import examine
from stager.findings import Finding, Mood
from stager.main import app
from stager.models import Run, State
from tests.conftest import free_port
from tests.stager.access import READER, Site
from tests.stager.mariadb import MariaDb
from tests.stager.rows import add_file, all_rows
from tests.stager.staging import Folder


def look(folder: Folder, **environment: str) -> dict[str, Finding]:
    """Return the findings of a folder by the names of their checks."""
    findings = list(examine(folder.configuration(**environment), connected=False))
    assert all(finding.mend for finding in findings if finding.mood in (Mood.WARN, Mood.FAIL))
    return {finding.check: finding for finding in findings}


def moods(found: dict[str, Finding]) -> dict[str, str]:
    return {name: str(finding.mood) for name, finding in found.items()}


def test_all_is_well(folder: Folder, data: Path) -> None:
    folder.add(data / "run01104.mid")
    folder.stage()
    found = look(folder)
    assert set(moods(found).values()) == {"ok"}
    assert list(found) == [
        "experiment",
        "data folder",
        "disk",
        "catalog",
        "schema",
        "catalog rights",
        "files",
        "cloud: keys",
        "cloud: bucket",
        "cloud: write",
        "cloud: checksum",
        "cloud: read",
        "cloud: multipart",
        "cloud: delete",
        "cloud: clock",
    ]
    assert folder.objects() == {"run01104.mid": (data / "run01104.mid").stat().st_size}
    assert [run.run_number for run in folder.rows(Run)] == [1104]
    assert list(folder.data.glob(".doctor*")) == []


def test_the_command_shows_a_table_or_json_and_its_exit_code_tells(folder: Folder) -> None:
    named = ["doctor", "--experiment", str(folder.path)]
    result = CliRunner().invoke(app, [*named, "--json"])
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert answer["ok"] and {c["mood"] for c in answer["checks"]} == {"ok"}
    endpoint = f"http://127.0.0.1:{free_port()}"
    result = CliRunner().invoke(app, [*named, "--endpoint", endpoint])
    assert result.exit_code == 1
    for word in ("fail", "cloud: bucket", "cannot be reached", "is it running"):
        assert word in result.stdout
    assert folder.access["secret_key"] not in result.stdout


@pytest.mark.parametrize(
    ("environment", "check", "says"),
    [
        ({"CYGNO_S3_BUCKET": "nowhere"}, "cloud: bucket", "has no bucket nowhere"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong" * 8}, "cloud: bucket", "the secret key is wrong"),
        ({"CYGNO_S3_ENDPOINT": "http://127.0.0.1:1"}, "cloud: bucket", "cannot be reached"),
        ({"CYGNO_S3_ENDPOINT": "nonsense"}, "cloud: bucket", "cannot be used"),
        ({"CYGNO_STAGER_CATALOG": "sqlite:////nowhere/x.sqlite"}, "catalog", "cannot be made"),
        ({"CYGNO_STAGER_LOW_DISK_PERCENT": "99.9"}, "disk", "free"),
        ({"CYGNO_STAGER_DATA_DIR": "/nowhere"}, "data folder", "cannot be read"),
    ],
)
def test_what_is_wrong_is_named(
    folder: Folder, environment: dict[str, str], check: str, says: str
) -> None:
    if "AWS_SECRET_ACCESS_KEY" in environment:
        environment["AWS_ACCESS_KEY_ID"] = folder.access["access_key"]
    found = look(folder, **environment)
    assert found[check].mood == (Mood.WARN if check == "disk" else Mood.FAIL)
    assert says in found[check].seen
    others = {mood for name, mood in moods(found).items() if name not in (check, "disk")}
    assert others <= {"ok", "fail"} and "ok" in others  # it goes on with the others


def test_issuer_token_and_session_are_tried(site: Site, place: Folder) -> None:
    found = look(place, **site.environment("client-credentials"))
    assert set(moods(found).values()) == {"ok"}
    assert site.issuer.url in found["cloud: issuer"].seen
    assert "for audience daq-staging" in found["cloud: token"].seen
    assert "STS" in found["cloud: session"].seen
    told = " ".join(finding.seen for finding in found.values())
    assert not any(secret in told for secret in site.issuer.given)


def test_who_may_only_read_is_told(site: Site, place: Folder) -> None:
    found = look(place, **site.environment("client-credentials", CYGNO_S3_ROLE_ARN=READER))
    assert found["cloud: write"].mood == Mood.FAIL
    assert found["cloud: write"].mend == "allow s3:PutObject to these keys, in this bucket"
    assert "cloud: delete" not in found


@pytest.mark.parametrize(
    ("fault", "environment", "says"),
    [
        ({"down": True}, {}, "the issuer"),
        ({}, {"CYGNO_OIDC_CLIENT_SECRET": "a-wrong-secret-of-42-letters"}, "invalid_client"),
        ({}, {"CYGNO_S3_ROLE_ARN": "arn:aws:iam::role/Nobody"}, "arn:aws:iam::role/Nobody"),
        ({}, {"CYGNO_S3_CREDENTIALS": "token-file"}, "need a file: set CYGNO_OIDC_TOKEN_FILE"),
    ],
)
def test_what_is_wrong_with_tokens_is_named(
    site: Site, place: Folder, fault: dict[str, Any], environment: dict[str, str], says: str
) -> None:
    for name, value in fault.items():
        setattr(site.issuer, name, value)
    found = look(place, **site.environment("client-credentials", **environment))
    assert found["cloud: keys"].mood == Mood.FAIL
    assert says in found["cloud: keys"].seen + found["cloud: keys"].mend
    assert found["cloud: bucket"].mood == Mood.SKIPPED


def test_another_audience_is_noticed(site: Site, place: Folder) -> None:
    token = site.token_file(place)
    environment = site.environment(
        "token-file", CYGNO_OIDC_TOKEN_FILE=str(token), CYGNO_OIDC_AUDIENCE="somebody-else"
    )
    found = look(place, **environment)
    assert found["cloud: token"].mood == Mood.WARN
    assert "not for somebody-else" in found["cloud: token"].seen


def test_mariadb_is_examined(folder: Folder, mariadb: MariaDb) -> None:
    url = mariadb.url(mariadb.new_database())
    found = look(folder, CYGNO_STAGER_CATALOG=url)
    assert found["schema"].mood == Mood.WARN and "none yet" in found["schema"].seen
    catalog = Catalog(url)
    with catalog.write() as session:
        add_file(session, Path("/data/run00001.mid"), 1, state=State.FAILED)
    found = look(folder, CYGNO_STAGER_CATALOG=url)
    assert "MariaDB 1" in found["catalog"].seen and "***" in found["catalog"].seen
    assert found["catalog clock"].mood == Mood.OK
    assert (found["files"].mood, found["files"].seen) == (Mood.WARN, "1 failed")
    assert [run.run_number for run in all_rows(catalog, Run)] == [1]
    catalog.close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
    engine.dispose()
    found = look(folder, CYGNO_STAGER_CATALOG=url)
    assert "has schema 0099" in found["catalog"].seen and found["catalog"].mood == Mood.FAIL


def test_a_user_who_may_only_read_the_catalog_is_told(folder: Folder, mariadb: MariaDb) -> None:
    database = mariadb.new_database()
    Catalog(mariadb.url(database)).close()
    mariadb.execute(
        "CREATE OR REPLACE USER 'looker'@'127.0.0.1' IDENTIFIED BY 'r'",
        f"GRANT SELECT ON {database}.* TO 'looker'@'127.0.0.1'",
    )
    url = f"mysql+mysqldb://looker:r@127.0.0.1:{mariadb.port}/{database}"
    found = look(folder, CYGNO_STAGER_CATALOG=url)
    assert (found["catalog"].mood, found["catalog rights"].mood) == (Mood.OK, Mood.FAIL)
    assert "GRANT it" in found["catalog rights"].mend


def test_a_catalog_that_does_not_answer_is_told(folder: Folder) -> None:
    url = f"mysql+mysqldb://daq:secret-word@127.0.0.1:{free_port()}/cygno"
    found = look(folder, CYGNO_STAGER_CATALOG=url)
    assert found["catalog"].mood == Mood.FAIL
    assert found["catalog"].mend == "start MariaDB, or look at host and port"
    assert "secret-word" not in found["catalog"].seen


def test_files_that_cannot_be_read_are_told(
    folder: Folder, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.add(data / "run01104.mid")
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith(".mid"))
    found = look(folder)
    assert found["data folder"].mood == Mood.FAIL
    assert "as the user of the logger" in found["data folder"].mend


@pytest.mark.parametrize(
    ("ahead_s", "mood", "says"),
    [
        (0.4, "ok", "as the server's"),
        (-20.0, "ok", "20 s behind the server"),
        (45.0, "warn", "45 s ahead of the server"),
        (-900.0, "fail", "900 s behind the server"),
    ],
)
def test_clocks_are_compared(ahead_s: float, mood: str, says: str) -> None:
    finding = probes.clock_finding("clock", ahead_s)
    assert (finding.mood, finding.seen[: len(says)]) == (mood, says)
    assert ("timedatectl" in finding.mend) == (mood != "ok")


def test_other_kinds_of_places_are_asked(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "nas").mkdir()
    config = tmp_path / "stager.toml"
    config.write_text(
        f'[places.nas]\nkind = "folder"\nfolder = "{tmp_path}/nas"\n'
        f'[places.gone]\nkind = "folder"\nfolder = "{tmp_path}/gone"\n'
    )
    found = look(folder, CYGNO_STAGER_CONFIG=str(config))
    assert found["nas"].mood == Mood.OK and str(tmp_path / "nas") in found["nas"].seen
    assert found["gone"].mood == Mood.FAIL
