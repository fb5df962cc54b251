"""See whether all is there that staging needs: ``doctor``."""

import json

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stager.attach import Attached, connect_if_up, find_folder
from stager.commands.opening import console
from stager.commands.shared import (
    Bucket,
    CatalogUrl,
    Config,
    CredentialsFile,
    DataDir,
    Endpoint,
    Experiment,
    Json,
    Region,
    Tag,
)
from stager.configuration import configure
from stager.doctor import examine
from stager.findings import Finding, Mood

_COLORS = {Mood.OK: "green", Mood.WARN: "yellow", Mood.FAIL: "bold red", Mood.SKIPPED: "dim"}


def doctor(
    experiment: Experiment = None,
    data_dir: DataDir = None,
    config: Config = None,
    endpoint: Endpoint = None,
    bucket: Bucket = None,
    region: Region = None,
    tag: Tag = None,
    catalog: CatalogUrl = None,
    credentials_file: CredentialsFile = None,
    as_json: Json = False,
) -> None:
    """Test issuer, STS, the bucket's rights, database, disk and clock; say what to mend.

    A small object is written into each bucket, read back and deleted; in the catalog a row is
    written and taken back. Exit code 1 if something fails.

    Examples:

      cygno-stager doctor --experiment demo

      cygno-stager doctor --data-dir /data01/data --json
    """
    options = {
        "endpoint": endpoint,
        "bucket": bucket,
        "region": region,
        "tag": tag,
        "catalog": catalog,
        "credentials_file": credentials_file,
        "data_dir": str(data_dir) if data_dir else None,
    }
    folder = find_folder(experiment)
    attached = Attached(connect_if_up("cygno-stager-doctor", experiment, folder))
    try:
        configuration = configure(options, folder, attached.client, config)
        connected = attached.client is not None
    finally:
        attached.close()
    errors = Console(stderr=True)
    findings: list[Finding] = []
    with errors.status("looking") as progress:
        for finding in examine(configuration, connected):
            findings.append(finding)
            progress.update(f"{finding.check}: {finding.mood}")
    failed = sum(finding.mood == Mood.FAIL for finding in findings)
    if as_json:
        answer = {"ok": not failed, "checks": [finding.as_dict() for finding in findings]}
        typer.echo(json.dumps(answer))
    else:
        console().print(_table(findings))
    if failed:
        raise typer.Exit(1)


def _table(findings: list[Finding]) -> Table:
    table = Table(show_lines=False)
    table.add_column("check", no_wrap=True)
    table.add_column("is", no_wrap=True)
    table.add_column("what was seen", overflow="fold")
    table.add_column("what to do", overflow="fold")
    for finding in findings:
        color = _COLORS[finding.mood]
        table.add_row(
            escape(finding.check),
            f"[{color}]{finding.mood}[/{color}]",
            escape(finding.seen),
            escape(finding.mend),
        )
    return table
