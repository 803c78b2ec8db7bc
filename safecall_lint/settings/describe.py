"""The settings for a reader: as TOML, and as the JSON schema that editors complete from."""

from __future__ import annotations

import json

from safecall_lint.settings.model import Option, Settings, options


def show(settings: Settings) -> str:
    """Settings as TOML that can be pasted back; a key without a value stands in a comment."""
    origin = f"# from {settings.origin}" if settings.origin else "# defaults: no settings file was found"
    return "\n".join(
        [origin, f"# root {settings.root}", *(_line(option, settings) for option in options().values()), ""]
    )


def schema() -> dict[str, object]:
    """The JSON schema of `[tool.safecall-lint]`."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "safecall-lint settings",
        "type": "object",
        "additionalProperties": False,
        "properties": {key: _property(option) for key, option in options().items()},
    }


def _property(option: Option) -> dict[str, object]:
    empty: dict[object, object] = {"array": [], "object": {}}
    default = empty.get(option.kind.schema.get("type"), option.default)
    return {"description": option.help, **option.kind.schema, **({} if default is None else {"default": default})}


def _line(option: Option, settings: Settings) -> str:
    value = option.of(settings)
    return f"# {option.key} is unset" if value is None else f"{option.key} = {_toml(option, value)}"


def _toml(option: Option, value: object) -> str:
    if isinstance(value, tuple) and option.kind.schema.get("type") == "object":
        return "{" + ", ".join(f"{json.dumps(pattern)} = {json.dumps(rules)}" for pattern, rules in value) + "}"
    if isinstance(value, tuple) and option.kind.schema.get("type") == "string":
        return json.dumps(".".join(map(str, value)))
    return json.dumps(value)
