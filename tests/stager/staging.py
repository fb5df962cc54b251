"""What the tests of the stager share: folders to stage, stagers in processes of their own."""

import json
import multiprocessing
import os
import resource
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from rawdata.checksum import crc32c
from stager.configuration import Configuration, configure
from stager.crash import VARIABLE
from stager.errors import StagerError
from stager.main import app
from stager.models import File, Replica, Run, Runlog
from stager.once import as_json, complaints, stage_once
from stager.outcome import Pass

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.stager.staging", "stager.main", "sim.server"])

NAME = "run01104.mid"
"""A recorded run."""
FAST = {"CYGNO_S3_ATTEMPTS": "1", "CYGNO_STAGER_SETTLE_S": "0.2"}
"""Settings of tests that wait for nothing needlessly."""


class Silent:
    """A progress that nobody looks at."""

    def begin(self, what: str, total_bytes: int) -> None:
        """Do nothing."""

    def advance(self, count_bytes: int) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


@dataclass
class Folder:
    """An experiment's folder with its own tag on the tests' S3 server."""

    path: Path
    tag: str
    access: dict[str, str]
    authority: str | None = None
    """Certificate that a server with https shows."""

    @property
    def data(self) -> Path:
        """Where the run files are."""
        return self.path / "data"

    @property
    def environment(self) -> dict[str, str]:
        """What a stager of this folder finds in its environment."""
        return {**FAST, "CYGNO_S3_TAG": self.tag}

    def add(self, source: Path, name: str | None = None) -> Path:
        """Copy a file into the data folder."""
        return Path(shutil.copy(source, self.data / (name or source.name)))

    def configuration(self, **environment: str) -> Configuration:
        """Return what the stager would work with."""
        return configure({}, self.path, None, environment={**self.environment, **environment})

    def stage(self, **environment: str) -> Pass:
        """Stage once, in this process."""
        return stage_once(self.configuration(**environment), lambda: None, lambda: None, Silent())

    def start(self, **environment: str) -> Any:
        """Stage once in a process of its own; return the process."""
        process = PROCESSES.Process(
            target=stage_elsewhere, args=(self.path, {**self.environment, **environment})
        )
        process.start()
        return process

    def stage_in_process(self, **environment: str) -> int:
        """Stage once in a process of its own; return its exit code (-9: it was killed)."""
        process = self.start(**environment)
        process.join(280)
        return int(process.exitcode)

    def answer(self) -> dict[str, Any]:
        """Return what the last `stage_in_process` that lived to its end found."""
        return json.loads((self.path / "answer.json").read_text())

    def client(self) -> Any:
        """Return an S3 client that owes nothing to the stager."""
        return self._client

    @cached_property
    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.access["endpoint"],
            region_name=self.access["region"],
            aws_access_key_id=self.access["access_key"],
            aws_secret_access_key=self.access["secret_key"],
            verify=self.authority,
            config=Config(s3={"addressing_style": "path"}),
        )

    @property
    def bucket(self) -> str:
        """The tests' bucket."""
        return self.access["bucket"]

    def key(self, name: str) -> str:
        """Return the key of a file of this folder."""
        return f"{self.tag}/{name}"

    def objects(self) -> dict[str, int]:
        """Ask the server which objects of this folder it has, and how large they are."""
        listing = self.client().get_paginator("list_objects_v2")
        pages = listing.paginate(Bucket=self.bucket, Prefix=f"{self.tag}/")
        found = [entry for page in pages for entry in page.get("Contents", [])]
        return {entry["Key"].removeprefix(f"{self.tag}/"): entry["Size"] for entry in found}

    def content(self, name: str) -> bytes:
        """Read an object back."""
        reply = self.client().get_object(Bucket=self.bucket, Key=self.key(name))
        return bytes(reply["Body"].read())

    def put(self, name: str, body: bytes) -> None:
        """Put an object into the bucket behind the stager's back."""
        self.client().put_object(Bucket=self.bucket, Key=self.key(name), Body=body)

    def remove(self, name: str) -> None:
        """Remove an object behind the stager's back."""
        self.client().delete_object(Bucket=self.bucket, Key=self.key(name))

    def unfinished_uploads(self) -> list[str]:
        """Ask the server which uploads were begun and neither completed nor given up."""
        reply = self.client().list_multipart_uploads(Bucket=self.bucket, Prefix=f"{self.tag}/")
        return [upload["Key"] for upload in reply.get("Uploads", [])]

    @property
    def catalog_file(self) -> Path:
        """The SQLite file of the catalog."""
        return self.path / "catalog.sqlite"

    def rows(self, table: type[Any]) -> list[Any]:
        """Return all rows of a table of the catalog."""
        engine = create_engine(f"sqlite:///{self.catalog_file}")
        try:
            with Session(engine, expire_on_commit=False) as session:
                return list(session.scalars(select(table)))
        finally:
            engine.dispose()

    def file(self, name: str) -> File:
        """Return the catalog's row of a file."""
        return next(row for row in self.rows(File) if row.name == name)

    def replica(self, name: str) -> Replica:
        """Return the catalog's row of a file's object."""
        return next(row for row in self.rows(Replica) if row.object_key == self.key(name))

    def run(self, number: int) -> Run:
        """Return the catalog's row of a run."""
        return next(row for row in self.rows(Run) if row.run_number == number)

    def runlog(self, number: int) -> Runlog:
        """Return the run log's row of a run."""
        return next(row for row in self.rows(Runlog) if row.run_number == number)


def run_command(folder: Folder, *arguments: str, code: int = 0, **environment: str) -> Any:
    """Run ``cygno-stager`` in this process; return what it prints, as an object with ``--json``."""
    result = CliRunner().invoke(
        app,
        [*arguments, "--experiment", str(folder.path)],
        env={**folder.environment, **environment},
    )
    if isinstance(result.exception, StagerError):
        raise result.exception
    assert result.exit_code == code, result.output
    return json.loads(result.stdout.splitlines()[-1]) if "--json" in arguments else result.output


def stage_elsewhere(path: Path, environment: dict[str, str]) -> None:
    """Stage once and leave the answer in a file; the body of a process."""
    if VARIABLE in environment:
        os.environ[VARIABLE] = environment[VARIABLE]
    configuration = configure({}, path, None, environment=environment)
    result = stage_once(configuration, lambda: None, lambda: None, Silent())
    answer = as_json(result, configuration.catalog_url)
    answer["peak_kib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (path / f"answer-{os.getpid()}.json").write_text(json.dumps(answer))
    (path / "answer.json").write_text(json.dumps(answer))
    raise SystemExit(1 if complaints(result) else 0)


def crc_of(path: Path) -> str:
    """Return the CRC32C of a file, computed apart from the stager."""
    return f"{crc32c(path.read_bytes()):08x}"


def replicas(folder: Folder) -> dict[str, Replica]:
    """Return the replicas of the raw file by their places."""
    return {r.place: r for r in folder.rows(Replica) if str(r.object_key).endswith(NAME)}
