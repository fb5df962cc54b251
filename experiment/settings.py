"""Settings models <-> ODB: one pydantic model per equipment says all there is to say of a setting.

A field's title is its ODB key, its description one sentence for people; `setting` adds the unit
and when a change takes effect. From the model come the ODB tree, the validation at begin of run,
the table in the docs and the labels of the page.
"""

from collections.abc import Iterator
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from experiment.client import Client
from experiment.errors import SettingsError

Effect = Literal["live", "next run", "restart"]
Model = TypeVar("Model", bound="Settings")


class Settings(BaseModel):
    """Base of all settings models; immutable once read."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, strict=False)

    @classmethod
    def defaults(cls) -> Self:
        """Return the model with every default."""
        return cls()


def setting(
    default: Any,
    key: str,
    description: str,
    *,
    unit: str = "",
    effect: Effect = "next run",
    **bounds: Any,
) -> Any:
    """Declare one setting.

    :param key: its ODB key, which is how operators know it.
    :param bounds: pydantic's ``ge``, ``le``, ``gt``, ``lt``, ``min_length``, ``max_length``.
    """
    extra: dict[str, Any] = {"unit": unit, "effect": effect}
    return Field(
        default, alias=key, title=key, description=description, json_schema_extra=extra, **bounds
    )


def odb_key(name: str, field: FieldInfo) -> str:
    """Return the ODB key of a model's field."""
    return field.alias or name


def to_odb(settings: Settings) -> dict[str, Any]:
    """Return what goes to the ODB: key -> value, tuples as lists."""
    content: dict[str, Any] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Settings):
            value = to_odb(value)
        content[odb_key(name, field)] = list(value) if isinstance(value, tuple) else value
    return content


def declare(client: Client, path: str, defaults: Settings) -> None:
    """Add the settings that the ODB lacks; never change or remove one that is there."""
    for key, value in to_odb(defaults).items():
        _declare(client, f"{path}/{key}", value)


def _declare(client: Client, path: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, below in value.items():
            _declare(client, f"{path}/{key}", below)
    elif not client.odb_exists(path):
        client.odb_set(path, value)


def load(client: Client, path: str, model: type[Model]) -> Model:
    """Read and validate settings.

    :raises SettingsError: one line for each bad key: key, value seen, what is allowed.
    """
    content = client.odb_get(path) if client.odb_exists(path) else {}
    try:
        return model.model_validate(_tuples(content))
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(path, error))) from error


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(below) for key, below in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _explain(path: str, error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        *parts, last = problem["loc"]
        key = "/".join([path, *(str(part) for part in parts)])
        key += f"[{last}]" if isinstance(last, int) else f"/{last}"
        allowed = problem["msg"].removeprefix("Input should be ")
        yield f"{key} is {problem['input']!r}; allowed: {allowed}. Set it in the ODB"


def describe(model: type[Settings], path: str) -> list[dict[str, Any]]:
    """Return one row per setting, for docs and pages: path, type, default, unit, bounds, text."""
    rows = []
    schema = model.model_json_schema(by_alias=True)["properties"]
    for name, field in model.model_fields.items():
        key = odb_key(name, field)
        entry = schema.get(key, {})
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        limits = {
            "minimum": "≥ {}",
            "maximum": "≤ {}",
            "exclusiveMinimum": "> {}",
            "exclusiveMaximum": "< {}",
        }
        bounds = ", ".join(form.format(entry[b]) for b, form in limits.items() if b in entry)
        if "enum" in entry:
            bounds = " or ".join(str(choice) for choice in entry["enum"])
        rows.append(
            {
                "path": f"{path}/{key}",
                "type": entry.get("type", ""),
                "default": field.default,
                "unit": extra.get("unit", ""),
                "effect": extra.get("effect", ""),
                "allowed": bounds,
                "description": field.description or "",
            }
        )
    return rows
