"""Open a configured place with the keys that are its own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from stager.configuration import Configuration
from stager.errors import StoreUnusableError
from stager.places.command import CommandPlace
from stager.places.configured import PlaceConfiguration
from stager.places.folder import FolderPlace
from stager.places.place import Place
from stager.places.s3 import S3Place
from stager.settings import CLOUD
from stager.store import open_store

_KEYS: Final = ("AWS_", "CYGNO_OIDC_")


def open_place(configuration: Configuration, place: PlaceConfiguration) -> Place:
    """Return a place that has answered.

    :raises StoreUnusableError: if it can do nothing for us now; CredentialsError if keys lack.
    """
    opened: Place
    if place.settings.kind == "folder":
        opened = FolderPlace(place.name, place.settings)
    elif place.settings.kind == "command":
        opened = CommandPlace(place.name, place.settings, configuration.scratch_dir)
    else:
        # What a bucket needs is found as for the cloud, but with this place's settings and keys.
        own = replace(configuration, settings=place.s3)
        if place.name != CLOUD:
            own = replace(
                own,
                folder=None,
                environment=environment_of(place.name, configuration.environment),
            )
        opened = S3Place(place.name, place.settings, open_store(place.s3, own.credentials()))
    try:
        opened.check()
    except StoreUnusableError as error:
        if place.name == CLOUD and configuration.uses_embedded_server:
            raise StoreUnusableError(
                f"{error} It is the embedded server of {configuration.folder}: start it with "
                f"cygno-sim serve, or python -m sim.s3 {configuration.folder}/s3"
            ) from error
        raise
    return opened


def environment_of(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment as a place sees it: ``CYGNO_PLACE_<NAME>_X`` is its ``X``.

    >>> environment_of("mirror", {"AWS_PROFILE": "a", "CYGNO_PLACE_MIRROR_AWS_ACCESS_KEY_ID": "b"})
    {'AWS_ACCESS_KEY_ID': 'b'}
    """
    prefix = f"CYGNO_PLACE_{name.upper().replace('-', '_')}_"
    common = {key: value for key, value in environment.items() if not key.startswith(_KEYS)}
    own = {
        key.removeprefix(prefix): value
        for key, value in environment.items()
        if key.startswith(prefix)
    }
    return {key: v for key, v in common.items() if not key.startswith("CYGNO_PLACE_")} | own
