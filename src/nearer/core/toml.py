"""Plain values as TOML."""

import json
import re
from typing import Any


def dump_toml(values: dict[str, Any], *, section: str = "") -> str:
    """Nested dicts of plain values as TOML, sections after keys; None is left out.

    >>> print(dump_toml({"name": "shop", "train": {"epochs": 1, "max_pairs": None}}), end="")
    name = "shop"
    <BLANKLINE>
    [train]
    epochs = 1
    """
    lines = [f"{_toml_key(key)} = {toml_value(value)}" for key, value in values.items() if _is_plain(value)]
    for key, value in values.items():
        path = section + _toml_key(key)
        if isinstance(value, dict) and (content := dump_toml(value, section=f"{path}.").rstrip("\n")):
            lines.append(f"\n[{path}]\n{content}")
    return "\n".join(lines) + "\n"


def _is_plain(value: object) -> bool:
    return value is not None and not isinstance(value, dict)


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)


def toml_value(value: object) -> str:
    """One value in one line, as ``--set`` takes it.

    >>> toml_value([{"model": "bag", "api": {"endpoint": "http://localhost/v1"}}, True])
    '[{model = "bag", api = {endpoint = "http://localhost/v1"}}, true]'
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            # JSON escapes what TOML wants escaped, but for the delete character
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return "[" + ", ".join(toml_value(item) for item in value) + "]"
        case dict():
            return "{" + ", ".join(f"{_toml_key(key)} = {toml_value(item)}" for key, item in value.items()) + "}"
    raise TypeError(f"no TOML for {type(value).__name__}")
