"""Put the stager's configuration together from all that may say something about it.

In order, the first that says something wins: options of the command, environment, ODB (only values
that were changed from the default; empty says nothing), a TOML file, the credentials file of a
standalone experiment's embedded S3 server, defaults.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from experiment.client import Client
from stager.bandwidth import parse_schedule
from stager.errors import ConfigurationError
from stager.places.configured import PlaceConfiguration, configured_places
from stager.settings import (
    EMBEDDED,
    KINDS,
    ODB_PATH,
    StagerSettings,
    environment_name,
)

if TYPE_CHECKING:
    from stager.credentials import KeySource

CONFIG_VARIABLE: Final = "CYGNO_STAGER_CONFIG"
CONFIG_NAME: Final = "stager.toml"


@dataclass(frozen=True)
class Configuration:
    """All that the stager works with.

    :param folder: of the standalone experiment, if there is one.
    """

    settings: StagerSettings
    data_dir: Path
    truth_dir: Path | None
    catalog_url: str
    folder: Path | None
    environment: Mapping[str, str]
    places: tuple[PlaceConfiguration, ...] = ()

    @property
    def scratch_dir(self) -> Path:
        """Folder for files on their way."""
        named = self.settings.scratch_dir
        return Path(named).expanduser() if named else self.data_dir / ".cygno-stager"

    def credentials(self) -> "KeySource":
        """Return the keys for S3, looked up anew. :raises CredentialsError: if there are none."""
        # botocore takes half a second to load, which who only looks need not spend.
        from stager.credentials.choose import credentials_for

        return credentials_for(self.settings, self.environment, self.folder)

    @property
    def uses_embedded_server(self) -> bool:
        """True if the endpoint is that of the standalone experiment's own S3 server."""
        embedded = _embedded(self.folder)
        return bool(embedded) and embedded.get("endpoint") == self.settings.endpoint


def configure(
    options: Mapping[str, Any],
    folder: Path | None,
    client: Client | None,
    config_file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Configuration:
    """Return the configuration.

    :param options: field of `StagerSettings` -> value; None says nothing.
    :raises ConfigurationError: naming the source, the value seen and what is allowed.
    """
    settings, _ = settings_of(options, folder, client, config_file, environment)
    data_dir = _data_dir(settings, folder, client)
    if not settings.catalog and not (folder or data_dir).is_dir():
        raise ConfigurationError(
            f"there is no data folder {data_dir}; name the right one with --data-dir or "
            "--experiment, or mount it"
        )
    toml = _from_toml(folder, config_file, environment)
    return Configuration(
        settings=settings,
        data_dir=data_dir,
        truth_dir=folder / "truth" if folder else None,
        catalog_url=_catalog_url(settings.catalog, folder or data_dir),
        folder=folder,
        environment=environment,
        places=configured_places(settings, toml.get("places", {}), _places_in_odb(client)),
    )


def find_catalog(
    options: Mapping[str, Any],
    folder: Path | None,
    client: Client | None,
    config_file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> str:
    """Return the URL of the catalog, for whoever only reads it: there may be no data folder here.

    :raises ConfigurationError: as `configure`.
    """
    settings, _ = settings_of(options, folder, client, config_file, environment)
    if not settings.catalog and folder is None and not settings.data_dir and client is None:
        raise ConfigurationError(
            "which catalog? give --catalog URL, --experiment DIR or --data-dir DIR, or set "
            f"{environment_name('catalog')}"
        )
    if settings.catalog:
        return _catalog_url(settings.catalog, Path())
    return _catalog_url("", folder or _data_dir(settings, folder, client))


def settings_of(
    options: Mapping[str, Any],
    folder: Path | None,
    client: Client | None,
    config_file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> tuple[StagerSettings, Mapping[str, str]]:
    """Return the settings alone, which need no data folder, and the environment with secrets.

    :raises ConfigurationError: as `configure`.
    """
    said: dict[str, tuple[Any, str]] = {}
    for field, value in _embedded(folder).items():
        said[field] = (value, f"{folder}/{EMBEDDED}")
    toml = _from_toml(folder, config_file, environment)
    toml.pop("places", None)
    for field, value in toml.items():
        said[field] = (value, "the TOML file")
    for field, value in _from_odb(client).items():
        said[field] = (value, f"the ODB, {ODB_PATH}")
    for field in StagerSettings.model_fields:
        if environment.get(environment_name(field)):
            text = environment[environment_name(field)]
            many = field in ("kinds", "scopes")
            value = tuple(text.replace(",", " ").split()) if many else text
            said[field] = (value, f"the environment, {environment_name(field)}")
    for field, value in options.items():
        if value is not None:
            said[field] = (value, f"--{field.replace('_', '-')}")
    return _validate(said), environment


def _embedded(folder: Path | None) -> dict[str, Any]:
    """Return what the embedded server's file says of itself, without its keys."""
    if folder is None:
        return {}
    try:
        content = json.loads((folder / EMBEDDED).read_text(encoding="utf-8"))
        return {field: str(content[field]) for field in ("endpoint", "region", "bucket")}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _from_toml(
    folder: Path | None, config_file: Path | None, environment: Mapping[str, str]
) -> dict[str, Any]:
    named = config_file or (
        Path(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else None
    )
    path = named or (folder / CONFIG_NAME if folder else None)
    if path is None or (named is None and not path.exists()):
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the settings in {path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from error
    for name in content:
        if name not in StagerSettings.model_fields and name != "places":
            known = ", ".join([*StagerSettings.model_fields, "places"])
            raise ConfigurationError(f"{path}: there is no setting {name!r}; known: {known}")
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
    }


def _places_in_odb(client: Client | None) -> dict[str, Any]:
    path = f"{ODB_PATH}/Places"
    if client is None or not client.odb_exists(path):
        return {}
    content = client.odb_get(path)
    return content if isinstance(content, dict) else {}


def _from_odb(client: Client | None) -> dict[str, Any]:
    if client is None or not client.odb_exists(ODB_PATH):
        return {}
    content = client.odb_get(ODB_PATH)
    said = {}
    for name, field in StagerSettings.model_fields.items():
        value = content.get(field.alias)
        if isinstance(value, list):
            value = tuple(value)
        if value not in (None, "", field.default):
            said[name] = value
    if _has_password(str(said.get("catalog", ""))):
        raise ConfigurationError(
            f"{ODB_PATH}/Catalog holds a password, which everybody can read in the ODB: empty it, "
            f"change the password, and set {environment_name('catalog')}"
        )
    return said


def _has_password(url: str) -> bool:
    try:
        return bool(url) and make_url(url).password is not None
    except ArgumentError:
        return False


def _validate(said: dict[str, tuple[Any, str]]) -> StagerSettings:
    try:
        settings = StagerSettings.model_validate({name: value for name, (value, _) in said.items()})
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            name = str(problem["loc"][0])
            field = next(
                (n for n, f in StagerSettings.model_fields.items() if name in (n, f.alias)), name
            )
            source = said[field][1] if field in said else "the defaults"
            allowed = problem["msg"].removeprefix("Input should be ")
            problems.append(f"{field} is {problem['input']!r} in {source}; allowed: {allowed}")
        raise ConfigurationError("; ".join(problems)) from error
    for kind in settings.kinds:
        if kind not in KINDS:
            raise ConfigurationError(
                f"kinds has {kind!r} in {said['kinds'][1]}; allowed: {' '.join(KINDS)}"
            )
    try:
        parse_schedule(settings.bandwidth)
    except ValueError as error:
        raise ConfigurationError(f"bandwidth in {said['bandwidth'][1]}: {error}") from error
    return settings


def _data_dir(settings: StagerSettings, folder: Path | None, client: Client | None) -> Path:
    if settings.data_dir:
        return Path(settings.data_dir).expanduser().resolve()
    if client and client.odb_exists("/Logger/Data dir"):
        named = str(client.odb_get("/Logger/Data dir"))
        if named:
            return Path(named).resolve()
    if folder:
        return (folder / "data").resolve()
    raise ConfigurationError(
        "no data folder: give --data-dir DIR, or --experiment with the folder of a standalone "
        "experiment or the name of a MIDAS one that is up"
    )


def _catalog_url(named: str, folder: Path) -> str:
    if not named:
        return f"sqlite:///{folder.resolve() / 'catalog.sqlite'}"
    try:
        make_url(named)
    except ArgumentError as error:
        # The text itself may hold a password.
        raise ConfigurationError(
            "the catalog is no SQLAlchemy URL; wanted something like sqlite:////data/catalog.sqlite"
            " or mysql+mysqldb://daq@host/cygno_db"
        ) from error
    return named
