"""Text from data as it may be shown: on a terminal, which obeys some characters, and on a page, where some hide."""

import unicodedata
from typing import Any

_KEPT_CONTROLS = frozenset("\n\t")
_HIDDEN = frozenset({"Cc", "Cs", "Co", "Cn"})
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def escape_controls(value: Any) -> Any:
    r"""Text with its control characters and changes of direction spelled out; anything else as it is.

    >>> escape_controls("a\u202eb")
    'a[U+202E]b'
    """
    if type(value) is not str or (value.isascii() and value.isprintable()):
        return value
    return "".join(f"[U+{ord(each):04X}]" if _is_hidden(each) else each for each in value.replace("\r\n", "\n"))


def _is_hidden(character: str) -> bool:
    if character in _KEPT_CONTROLS:
        return False
    return character in _DIRECTIONS or unicodedata.category(character) in _HIDDEN
