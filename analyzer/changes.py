"""Settings that a person changes for one analysis: ``--set nsigma=0.8``."""

import difflib
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from analyzer.errors import AnalyzerError
from analyzer.settings import AnalyzerSettings
from experiment.settings import odb_key, to_odb


def parse_changes(texts: Sequence[str]) -> dict[str, str]:
    """Return what ``KEY=VALUE`` texts say: key of the ODB -> value; small letters will do.

    >>> parse_changes(["Finder=cygno", "grow sigma = 3.5"])
    {'Finder': 'cygno', 'Grow sigma': '3.5'}

    :raises AnalyzerError: if there is no such setting, with those of the most similar names.
    """
    fields = AnalyzerSettings.model_fields
    keys = [odb_key(name, field) for name, field in fields.items() if name != "slow_control"]
    by_name = {key.lower(): key for key in keys}
    changes = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise AnalyzerError(f"--set {text}: write KEY=VALUE, such as nsigma=0.8")
        if name.lower() not in by_name:
            similar = difflib.get_close_matches(name.lower(), by_name, 3)
            hint = ", ".join(by_name[one] for one in similar) or "see the reference of settings"
            raise AnalyzerError(f"--set {text}: there is no setting {name!r}; similar: {hint}")
        changes[by_name[name.lower()]] = value
    return changes


def with_changes(settings: AnalyzerSettings, changes: Mapping[str, str]) -> AnalyzerSettings:
    """Return settings with some changed; lists are written with commas between.

    :raises AnalyzerError: if a value is out of bounds, with those.
    """
    if not changes:
        return settings
    content = to_odb(settings)
    for key, value in changes.items():
        content[key] = value.split(",") if isinstance(content[key], list) else value
    try:
        return AnalyzerSettings.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = "/".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise AnalyzerError(f"setting {key} is {first['input']!r}: {reason}") from error
