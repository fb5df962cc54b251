"""Which places there are: the cloud of the stager's own S3 settings, and those named besides it.

In TOML each is a table ``[places.tape]``, in the ODB a folder ``Places/tape`` beside the other
settings. A place of kind s3 may have any setting that concerns S3; the others are the stager's.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from stager.errors import ConfigurationError
from stager.models import File
from stager.settings import CLOUD, KINDS, OIDC_FIELDS, S3_FIELDS, PlaceSettings, StagerSettings

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_NEEDS: Final = {"folder": ("folder",), "command": ("put", "check"), "s3": ()}


@dataclass(frozen=True)
class PlaceConfiguration:
    """A place as it is configured.

    :param s3: the stager's settings as they are for this place, if its kind is s3.
    """

    name: str
    settings: PlaceSettings
    s3: StagerSettings

    @property
    def tag(self) -> str:
        """The site in its keys."""
        return self.settings.tag or self.s3.tag

    @property
    def transcodes(self) -> bool:
        """True if run files change on their way there."""
        return bool(self.settings.compression or self.settings.expand)

    def wants(self, file: File) -> bool:
        """Tell whether a file is to go there."""
        if file.kind not in (self.settings.kinds or self.s3.kinds):
            return False
        if file.kind == "sidecar" and self.transcodes:
            # It would describe bytes that are not there.
            return not self.settings.expand and file.name.endswith(".mid.crc32c")
        return True


def find_place(places: Sequence[PlaceConfiguration], name: str) -> PlaceConfiguration | None:
    """Return a configured place, None if there is none of this name."""
    return next((place for place in places if place.name == name), None)


def configured_places(
    settings: StagerSettings, toml: Mapping[str, Any], odb: Mapping[str, Any]
) -> tuple[PlaceConfiguration, ...]:
    """Return the places that are enabled, the cloud first.

    :param toml: what the file says: place -> field -> value.
    :param odb: what the ODB says: place -> key -> value; it wins.
    :raises ConfigurationError: naming place, setting, value and what is allowed.
    """
    places = []
    for name in dict.fromkeys([CLOUD, *toml, *odb]):
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"place {name!r}: a name has small letters, digits, - and _, at most 32 characters"
            )
        said: dict[str, Any] = {"role": "cloud"} if name == CLOUD else {}
        said |= _fields(name, toml.get(name, {}))
        said |= _fields(name, odb.get(name, {}))
        place = _place(name, said, settings)
        if place.settings.enabled:
            places.append(place)
    return tuple(places)


def _fields(name: str, content: Any) -> dict[str, Any]:
    """Return what is said of a place by names of fields; keys of the ODB are known, too."""
    if not isinstance(content, Mapping):
        raise ConfigurationError(f"place {name} is {content!r}; wanted a table of settings")
    names = {}
    for field, info in StagerSettings.model_fields.items():
        if field in (*S3_FIELDS, *OIDC_FIELDS):
            names[field] = names[str(info.alias)] = field
    for field, info in PlaceSettings.model_fields.items():
        names[field] = names[str(info.alias)] = field
    fields = {}
    for key, value in content.items():
        if key not in names:
            known = ", ".join(dict.fromkeys(names.values()))
            raise ConfigurationError(f"place {name}: there is no setting {key!r}; known: {known}")
        fields[names[key]] = tuple(value) if isinstance(value, list) else value
    return fields


def _place(name: str, said: Mapping[str, Any], settings: StagerSettings) -> PlaceConfiguration:
    own = {field: value for field, value in said.items() if field in PlaceSettings.model_fields}
    s3 = {field: value for field, value in said.items() if field not in own}
    try:
        place = PlaceSettings.model_validate(own)
        if place.kind == "s3" and name != CLOUD:
            # The keys of the cloud open nothing elsewhere.
            s3 = {"credentials_file": "", **s3}
        if place.kind == "s3":
            settings = StagerSettings.model_validate({**settings.model_dump(), **s3})
        elif s3:
            raise ConfigurationError(
                f"place {name}: {', '.join(s3)} is for places of kind s3; it is {place.kind}"
            )
    except ValidationError as error:
        problems = [
            f"{problem['loc'][0]} is {problem['input']!r}; allowed: "
            f"{problem['msg'].removeprefix('Input should be ')}"
            for problem in error.errors()
        ]
        raise ConfigurationError(f"place {name}: {'; '.join(problems)}") from error
    lacking = [field for field in _NEEDS[place.kind] if not getattr(place, field)]
    if lacking and place.enabled:
        raise ConfigurationError(f"place {name}: kind {place.kind} needs {' and '.join(lacking)}")
    for kind in place.kinds:
        if kind not in KINDS:
            raise ConfigurationError(
                f"place {name}: kinds has {kind!r}; allowed: {' '.join(KINDS)}"
            )
    return PlaceConfiguration(name, place, settings)
