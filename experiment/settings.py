"""Settings models <-> ODB: one pydantic model per equipment says all there is to say of a setting.

A field's alias is its ODB key, its description one sentence for people; `setting` adds the unit
and when a change takes effect. From the model come the ODB tree, the validation at begin of run,
the table in the docs and the labels of the page.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal, Self, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from experiment.client import Client
from experiment.errors import SettingsError

Effect = Literal["live", "next run", "restart"]
Model = TypeVar("Model", bound="Settings")

_LIMITS = {
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "exclusiveMinimum": "> {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} elements",
    "maxItems": "at most {} elements",
}
"""Bounds of a JSON schema, in words."""


class Settings(BaseModel):
    """Base of all settings models; immutable once read.

    `odb_path` is the place of the tree in the ODB; trees inside other trees need none.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, allow_inf_nan=False
    )
    odb_path: ClassVar[str] = ""

    @classmethod
    def defaults(cls) -> Self:
        """Return the model with every default."""
        return cls()

    @model_validator(mode="before")
    @classmethod
    def _take_single_values(cls, content: Any) -> Any:
        """Accept a plain value for an array: MIDAS returns arrays of one element so."""
        if not isinstance(content, Mapping):
            return content
        taken = dict(content)
        for name, field in cls.model_fields.items():
            for key in (odb_key(name, field), name):
                value = taken.get(key)
                if get_origin(field.annotation) is tuple and isinstance(
                    value, bool | int | float | str
                ):
                    taken[key] = (value,)
        return taken


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


def subtree(defaults: Settings, key: str) -> Any:
    """Declare a tree of settings inside another; its key is the folder's name."""
    return Field(defaults, alias=key, title=key)


def odb_key(name: str, field: FieldInfo) -> str:
    """Return the ODB key of a model's field."""
    return field.alias or name


def to_odb(settings: Settings) -> dict[str, Any]:
    """Return what goes to the ODB: key -> value, tuples as lists, trees as dicts."""
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

    :raises SettingsError: for each bad key: key, value seen, what is allowed.
    """
    content = client.odb_get(path) if client.odb_exists(path) else {}
    try:
        return model.model_validate(_tuples(content))
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(path, error))) from error


def unknown_keys(client: Client, path: str, model: type[Settings]) -> list[str]:
    """Return the paths below `path` that no field of the model reads: most are spelled wrong."""
    content = client.odb_get(path) if client.odb_exists(path) else {}
    return list(_unknown(content, path, model)) if isinstance(content, dict) else []


def _unknown(content: dict[str, Any], path: str, model: type[Settings]) -> Iterator[str]:
    fields = {odb_key(name, field): field for name, field in model.model_fields.items()}
    for key, value in content.items():
        below = _tree_of(fields[key]) if key in fields else None
        if key not in fields:
            yield f"{path}/{key}"
        elif below is not None and isinstance(value, dict):
            yield from _unknown(value, f"{path}/{key}", below)


def refusal(path: str, key: str, value: object, allowed: str) -> SettingsError:
    """Return the error for a value that only its neighbours or a device make wrong.

    >>> str(refusal("/Configurations", "Exposure", 0.3, "at most 0.1"))
    '/Configurations/Exposure is 0.3; allowed: at most 0.1. Set it in the ODB'
    """
    return SettingsError(f"{path}/{key} is {value!r}; allowed: {allowed}. Set it in the ODB")


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(below) for key, below in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _explain(path: str, error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        where = path + "".join(
            f"[{part}]" if isinstance(part, int) else f"/{part}" for part in problem["loc"]
        )
        allowed = problem["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        yield f"{where} is {problem['input']!r}; allowed: {allowed}. Set it in the ODB"


def _tree_of(field: FieldInfo) -> type[Settings] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Settings) else None


def describe(
    model: type[Settings], path: str = "", defaults: Settings | None = None
) -> list[dict[str, Any]]:
    """Return one row per setting, for docs and pages.

    :param path: where the tree stands; the model's own `Settings.odb_path` if empty.
    :param defaults: default values where they are not the model's own, as in trees inside others.
    :returns: dicts of path, type, default, unit, effect, allowed, description.
    """
    path = path or model.odb_path
    rows: list[dict[str, Any]] = []
    schema = model.model_json_schema(by_alias=True)["properties"]
    for name, field in model.model_fields.items():
        key = odb_key(name, field)
        below = _tree_of(field)
        if below is not None:
            inner = field.get_default() if defaults is None else getattr(defaults, name)
            rows += describe(below, f"{path}/{key}", inner)
            continue
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = field.get_default(call_default_factory=True)
        if defaults is not None:
            default = getattr(defaults, name)
        rows.append(
            {
                "path": f"{path}/{key}",
                "type": _type_name(schema[key]),
                "default": list(default) if isinstance(default, tuple) else default,
                "unit": extra.get("unit", ""),
                "effect": extra.get("effect", ""),
                "allowed": _bounds(schema[key]),
                "description": field.description or "",
            }
        )
    return rows


def _element(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an array's elements; of the value itself where it is no array."""
    if entry.get("type") != "array":
        return entry
    items: dict[str, Any] = entry.get("items") or (entry.get("prefixItems") or [{}])[0]
    return items


def _type_name(entry: dict[str, Any]) -> str:
    element = _element(entry)
    choices = element.get("enum", [element.get("const")])
    known = {bool: "boolean", int: "integer", float: "number", str: "string"}
    name = str(element.get("type") or known.get(type(choices[0]), ""))
    return f"array of {name}" if entry.get("type") == "array" else name


def _bounds(entry: dict[str, Any]) -> str:
    element = _element(entry)
    if "enum" in element:
        return " or ".join(str(choice) for choice in element["enum"])
    parts: Iterable[dict[str, Any]] = (entry,) if element is entry else (element, entry)
    return ", ".join(
        form.format(part[bound])
        for part in parts
        for bound, form in _LIMITS.items()
        if bound in part
    )
