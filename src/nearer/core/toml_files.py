"""Small TOML files of settings: read, with what is wrong in them said by key."""

import reprlib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearer.core.errors import InputError

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails


def read_toml(path: Path, *, most_bytes: int, fault: type[InputError] = InputError) -> dict[str, Any]:
    """What a TOML file holds. Raises ``fault`` for one that is none, or longer than ``most_bytes``."""
    if path.stat().st_size > most_bytes:
        most = f"{most_bytes // 2**20} MiB" if most_bytes >= 2**20 else f"{most_bytes // 1024} KiB"
        raise fault(f"{path}: larger than {most}", hint="shorten it: a few lines of TOML are enough")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise fault(f"{path}: not UTF-8 (byte {error.start})", hint="save the file as UTF-8") from error
    except RecursionError:
        raise fault(f"{path}: nested too deeply", hint="flatten the lists and tables") from None
    except ValueError as error:  # not only TOMLDecodeError: a number of thousands of digits too
        raise fault(f"{path}: not valid TOML: {error}", hint="mend the line named above") from error


def explained(
    source: Path | str, error: "ValidationError", *, whole: str, is_secret: "Callable[[ErrorDetails], bool]"
) -> str:
    """What is wrong, key by key, and what was given, but for secrets; ``whole`` names a fault of no key."""
    lines = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"]) or whole
        reason = "unknown key" if fault["type"] == "extra_forbidden" else fault["msg"].removeprefix("Value error, ")
        is_shown = fault["loc"] and not is_secret(fault)
        lines.append(f"{key}: {reason}" + (f" (got {reprlib.repr(fault['input'])})" if is_shown else ""))
    return f"{source}: " + "; ".join(lines)


def is_misplaced(fault: "ErrorDetails") -> bool:
    """Whether a value stands under a key that is none, so that nobody knows what it is."""
    return fault["type"] == "extra_forbidden" and isinstance(fault["input"], str | dict | list)
