"""Open configured places, each with the keys that are its own."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from stager.bandwidth import Limiter
from stager.configuration import Configuration
from stager.errors import (
    ConfigurationError,
    CredentialsError,
    StagerError,
    StoreUnusableError,
)
from stager.places.command import CommandPlace
from stager.places.configured import PlaceConfiguration, find_place
from stager.places.folder import FolderPlace
from stager.places.place import Place
from stager.places.s3 import S3Place
from stager.places.wording import in_words_of, prefix_of
from stager.settings import CLOUD
from stager.store import open_store

_KEYS: Final = ("AWS_", "CYGNO_OIDC_")


@dataclass
class Places:
    """The places of one pass, each opened when it is first wanted, by whoever wants it first."""

    configuration: Configuration
    limiters: dict[tuple[str, str], Limiter] = field(default_factory=dict)
    """Limits of bandwidth, by place and what the setting says: they outlive the pass."""
    troubles: dict[str, str] = field(default_factory=dict)
    """Place -> what keeps it from being used at all."""
    _opened: dict[str, Place] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, name: str) -> Place:
        """Return a place that has answered. :raises StoreUnusableError: if it did not."""
        with self._lock:
            if name in self.troubles:
                raise StoreUnusableError(self.troubles[name])
            if name not in self._opened:
                place = find_place(self.configuration.places, name)
                if place is None:
                    raise StoreUnusableError(f"place {name} is not configured")
                try:
                    opened = open_place(self.configuration, place)
                    if isinstance(opened, S3Place):
                        key = (name, place.s3.bandwidth)
                        limiter = self.limiters.setdefault(key, opened.store.limiter)
                        opened.store = replace(opened.store, limiter=limiter)
                    self._opened[name] = opened
                except (StoreUnusableError, CredentialsError, ConfigurationError) as error:
                    self.troubles[name] = in_words_of(name, str(error))
                    raise
            return self._opened[name]

    def reason(self, name: str, error: StagerError) -> str:
        """Return why a file failed; what ails the whole place is said in one way to all files."""
        reason = in_words_of(name, str(error))
        if not isinstance(error, (StoreUnusableError, CredentialsError, ConfigurationError)):
            return reason
        with self._lock:
            return self.troubles.setdefault(name, reason)


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
        own = own_configuration(configuration, place)
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


def own_configuration(configuration: Configuration, place: PlaceConfiguration) -> Configuration:
    """Return the configuration as a bucket sees it: as the cloud's, with its settings and keys."""
    own = replace(configuration, settings=place.s3)
    if place.name == CLOUD:
        return own
    environment = environment_of(place.name, configuration.environment)
    return replace(own, folder=None, environment=environment)


def environment_of(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment as a place sees it: ``CYGNO_PLACE_<NAME>_X`` is its ``X``.

    >>> environment_of("mirror", {"AWS_PROFILE": "a", "CYGNO_PLACE_MIRROR_AWS_ACCESS_KEY_ID": "b"})
    {'AWS_ACCESS_KEY_ID': 'b'}
    """
    prefix = prefix_of(name)
    common = {key: value for key, value in environment.items() if not key.startswith(_KEYS)}
    own = {
        key.removeprefix(prefix): value
        for key, value in environment.items()
        if key.startswith(prefix)
    }
    return {key: v for key, v in common.items() if not key.startswith("CYGNO_PLACE_")} | own
