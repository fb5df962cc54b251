"""What stands in ``deploy/``: units, compose file, and the names that tie them to the rest."""

import json
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from stager.settings import StagerSettings, environment_name

TOP = Path(__file__).parents[2]
DEPLOY = TOP / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
DOCS = (TOP / "docs" / "how-to" / "deploy.md").read_text()


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\$\{?(\w+)", text))


def variables_of(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_compose_publishes_on_the_loopback_alone() -> None:
    for name, service in COMPOSE["services"].items():
        for port in service["ports"]:
            assert port.startswith("127.0.0.1:"), name
            assert f"| `{name}` | {port.rsplit(':', 1)[0]} |" in DOCS


def test_compose_names_versions_and_starts_again() -> None:
    for service in COMPOSE["services"].values():
        image, _, tag = service["image"].partition(":")
        assert image and re.match(r"\d+\.\d+", tag)
        assert service["restart"] == "unless-stopped"


def test_compose_mounts_what_is_there() -> None:
    for service in COMPOSE["services"].values():
        for volume in service["volumes"]:
            source = re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", volume).split(":")[0]
            if source.startswith("./"):
                path = DEPLOY / source
                assert path.exists() or path.with_name(f"{path.name}.example").exists(), source
            else:
                assert source in COMPOSE["volumes"]
    json.loads((DEPLOY / "s3.json.example").read_text())


def test_variables_are_the_same_in_compose_example_and_docs() -> None:
    example = variables_of(DEPLOY / "compose.env.example")
    used = names_in((DEPLOY / "compose.yaml").read_text())
    assert used == set(example)
    assert all(f"`{name}`" in DOCS for name in example)
    must = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
    assert must == {name for name, value in example.items() if not value}


def test_grafana_is_given_what_its_source_names() -> None:
    source = (DEPLOY / "grafana/provisioning/datasources/catalog.yaml").read_text()
    grafana = COMPOSE["services"]["grafana"]["environment"]
    assert names_in(source) <= set(grafana)
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/cygno.yaml").read_text())
    folder = provider["providers"][0]["options"]["path"]
    assert f"./grafana/dashboards:{folder}:ro" in COMPOSE["services"]["grafana"]["volumes"]
    home = grafana["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (DEPLOY / "grafana/dashboards" / Path(home).name).exists()


def test_the_s3_server_knows_its_options() -> None:
    weed = Path(sys.executable).with_name("weed")
    words = COMPOSE["services"]["s3"]["command"].split()
    said = subprocess.run([weed, "help", words[0]], capture_output=True, text=True, timeout=60)
    known = set(re.findall(r"^\s+-([\w.]+)", said.stdout + said.stderr, re.MULTILINE))
    assert {word[1:].partition("=")[0] for word in words[1:]} <= known


def unit_of(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_units_start_programs_that_are_installed(path: Path) -> None:
    (start,) = unit_of(path)["ExecStart"]
    program, command = start.split()[:2]
    setup = ConfigParser()
    setup.read(TOP / "setup.cfg")
    scripts = setup["options.entry_points"]["console_scripts"]
    module = dict(re.findall(r"(\S+) = (\S+):main", scripts))[Path(program).name]
    assert command in _commands(module)
    for file in unit_of(path)["EnvironmentFile"]:
        name = Path(file.removeprefix("-")).name
        assert (DEPLOY / "systemd" / f"{name}.example").exists()
    assert f"`{path.stem}" in DOCS


def _commands(module: str) -> list[str]:
    import importlib

    from typer.main import get_command

    group: Any = get_command(importlib.import_module(module).app)
    return list(group.list_commands(None))


def test_environment_examples_name_variables_that_are_read() -> None:
    known = {environment_name(field) for field in StagerSettings.model_fields}
    known |= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert set(variables_of(DEPLOY / "systemd" / "stager.env.example")) <= known


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with programs that exist here; templates as one of their instances."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed: apt-get install systemd")
    for path in UNITS:
        text = re.sub(r"(?<=ExecStart=)/opt/cygno-daq/bin/\S+", "/bin/true", path.read_text())
        (tmp_path / path.name.replace("@", "@2")).write_text(text)
    return tmp_path


def test_systemd_takes_the_units(units: Path) -> None:
    command = ["systemd-analyze", "verify", *map(str, sorted(units.iterdir()))]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.parametrize(
    ("unit", "exposure"),
    [("cygno-stager", 2.5), ("cygno-analyzer", 2.5), ("cygno-slow", 4.5), ("cygno-frontend", 4.5)],
)
def test_services_may_no_more_than_they_need(units: Path, unit: str, exposure: float) -> None:
    """systemd's own measure: 0 may nothing, 10 may everything."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    threshold = f"--threshold={round(10 * exposure)}"
    path = str(units / f"{unit}.service")
    said = subprocess.run([*command, threshold, path], capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stdout.splitlines()[-1] if said.stdout else said.stderr
