"""Messages about a further place, in words that are true there: its own settings, its own keys."""

import re
from typing import Final

from stager.settings import CLOUD, OIDC_FIELDS, S3_FIELDS, environment_name

_VARIABLE: Final = re.compile(r"\b(?:CYGNO_S3|CYGNO_OIDC|AWS)_[A-Z_]*[A-Z]\b")
_FIELDS: Final = {environment_name(field): field for field in (*S3_FIELDS, *OIDC_FIELDS)}


def prefix_of(place: str) -> str:
    """Return what begins the names of environment variables that only this place sees.

    >>> prefix_of("mirror")
    'CYGNO_PLACE_MIRROR_'
    """
    return f"CYGNO_PLACE_{place.upper().replace('-', '_')}_"


def in_words_of(place: str, message: str) -> str:
    """Return a message that names settings of the cloud with the names that this place has.

    >>> in_words_of("mirror", "no such bucket: name another with CYGNO_S3_BUCKET")
    'no such bucket: name another with bucket of place mirror'
    >>> in_words_of("mirror", "set AWS_ACCESS_KEY_ID")
    'set CYGNO_PLACE_MIRROR_AWS_ACCESS_KEY_ID'
    """
    if place == CLOUD:
        return message

    def own(match: re.Match[str]) -> str:
        field = _FIELDS.get(match[0])
        return f"{field} of place {place}" if field else prefix_of(place) + match[0]

    return _VARIABLE.sub(own, message)
