"""A JSON array as the rows of a file: what databases, and pandas without ``lines=True``, write in place of JSON Lines.

Objects are read one after the other, so that memory holds one of them and the line that it ends on.
"""

import json
from collections.abc import Iterator

from nearer.core.errors import Fault, InputError
from nearer.store.formats import source as limits
from nearer.store.formats.source import Source, WholeFile, too_long, truncated

_DECODER = json.JSONDecoder()
_BLANK = " \t\r\n"


def is_array(source: Source) -> bool:
    """Whether a file begins with a bracket."""
    lines = Source(source.path, encoding=source.encoding).lines()
    first = next((item[1] for item in lines if not isinstance(item, Fault) and not item[1].isspace()), b"")
    return first.lstrip().startswith(b"[")


def read_elements(source: Source) -> Iterator[tuple[int, str] | Fault]:
    """The elements of an array as they are written, each with the line that it begins on; what is wrong ends it."""
    array = _Array()
    for item in source.lines():
        if isinstance(item, Fault):
            yield Fault(file=item.file, line=0, reason=item.reason, remedy=_remedy(item)) if item.line else item
            return
        try:
            array.add(*item, text=source.decode(item[1]))
            yield from array.whole()
        except InputError as error:
            yield source.fault(0, WholeFile(f"line {item[0]}: {error.message}", hint=error.hint))
            return
    if not array.has_ended:
        yield source.fault(0, truncated())


def _remedy(fault: Fault) -> str:
    if fault.reason == too_long().message:
        return "write one JSON object a line; pandas: to_json(FILE, orient='records', lines=True)"
    return fault.remedy


class _Array:
    """What was read of an array and not yet given out."""

    def __init__(self) -> None:
        self.has_ended = False
        self._text, self._place = "", 0
        self._line, self._begins = 0, 0
        self._wanted = "["

    def add(self, line: int, raw: bytes, *, text: str) -> None:
        """Take a line. Raises InputError for an object that is too long."""
        if self._begins == 0:
            self._text, self._place = "", 0
        self._line = line
        self._text += text
        if len(self._text) > limits.MAX_LINE_BYTES + len(raw):
            raise too_long()

    def whole(self) -> Iterator[tuple[int, str]]:
        """The elements that are complete by now. Raises InputError for what is no array."""
        while self._skip_blank():
            character = self._text[self._place]
            if self.has_ended:
                raise InputError(f"text after the array: {character!a}", hint="write one array, or JSON Lines")
            if self._wanted == "element" and character != "]":
                end = self._end_of_element()
                if end is None:
                    return
                yield self._begins, self._text[self._place : end]
                self._begins, self._place, self._wanted = 0, end, ", or ]"
            else:
                self._take(character)

    def _skip_blank(self) -> bool:
        """Whether anything but white space is left."""
        while self._place < len(self._text) and self._text[self._place] in _BLANK:
            self._place += 1
        return self._place < len(self._text)

    def _take(self, character: str) -> None:
        match character, self._wanted:
            case ("[", "[") | (",", ", or ]"):
                self._wanted = "element"
            case "]", ", or ]" | "element":
                self.has_ended = True
            case _:
                reason = f"invalid JSON: {character!a} where {self._wanted} should be"
                raise InputError(reason, hint="write one array, or one JSON object a line")
        self._place += 1

    def _end_of_element(self) -> int | None:
        """Where the element ends; None where the lines so far do not hold all of it."""
        self._begins = self._begins or self._line
        if not self._text.rstrip(_BLANK).endswith(("}", "]", ",")):
            return None
        try:
            return _DECODER.raw_decode(self._text, self._place)[1]
        except RecursionError:
            return len(self._text)  # what reads it says that it is nested too deep
        except json.JSONDecodeError as error:
            if error.pos >= len(self._text.rstrip(_BLANK)) or error.msg.startswith("Unterminated string"):
                return None
            raise InputError(f"invalid JSON: {error.msg}", hint="write one JSON object a line") from None
        except ValueError:
            return len(self._text)
