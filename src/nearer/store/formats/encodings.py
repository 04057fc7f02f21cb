"""The encoding of a text file: what its first bytes say for certain, and a guess where they say nothing.

A byte order mark, and zeros between the first characters, have one meaning. Anything else that is not UTF-8 is a guess:
it is offered with how likely it is, and never taken by itself.
"""

import codecs
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from typing import Any

from nearer.core.errors import InputError

UTF8 = "utf-8"
UTF8_BOM = b"\xef\xbb\xbf"
CONTROLS = re.compile("[\x80-\x9f]")
"""C1 controls: no text holds them, but cp1252 has letters and quotes where latin1 has these."""

_BOMS = (  # the longer ones first: UTF-32's begins as UTF-16's does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (UTF8_BOM, UTF8),
)
_ZEROS = (
    (re.compile(rb"[^\0]\0\0\0[^\0]\0\0\0", re.DOTALL), "utf-32-le"),
    (re.compile(rb"\0\0\0[^\0]\0\0\0[^\0]", re.DOTALL), "utf-32-be"),
    (re.compile(rb"(?:[^\0]\0){3}", re.DOTALL), "utf-16-le"),
    (re.compile(rb"(?:\0[^\0]){3}", re.DOTALL), "utf-16-be"),
)
_BEGINS_UTF8 = re.compile("[\u00c2-\u00f4][^\0-\x7f\u00c0-\u00ff]")
_NO_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined", "utf-7"})
_GUESSED = {  # how common an encoding is where files are not UTF-8, as a bonus to its score
    "cp1252": 0.15,
    **dict.fromkeys(("cp1250", "cp1251", "gb18030", "big5", "cp932", "cp949"), 0.06),
    **dict.fromkeys(("cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp874", "euc_jp", "koi8_r"), 0.03),
    **dict.fromkeys(("iso8859_2", "mac_roman", "cp850", "cp866"), 0.0),
}
_CORES = {"cp949": "euc_kr", "gb18030": "gbk"}
"""What texts in an encoding mostly keep to; where a sample does not, another encoding is likelier."""
_OUTSIDE = 0.2
_SHARPNESS = 10.0
_LEAST_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """An encoding that may be a file's, and its share of 1 among all that could be."""

    encoding: str
    share: float


def known_encoding(name: str) -> str:
    """The name of an encoding as Python has it. Raises InputError for what is none.

    >>> known_encoding("Windows-1252"), known_encoding("UTF8")
    ('cp1252', 'utf-8')
    """
    hint = "for example: --encoding cp1252, gb18030, cp1251, shift_jis, utf-16"
    try:
        found = codecs.lookup(name).name
        "a".encode(found)
        is_charset = found not in _NO_CHARSETS
    except (LookupError, ValueError):
        is_charset = False
    if not is_charset:
        raise InputError(f"{name!r} is no encoding of text", hint=hint)
    return UTF8 if found == "utf-8-sig" else found


def marked(head: bytes) -> str | None:
    """The encoding that a file's byte order mark says; None without one."""
    return next((name for mark, name in _BOMS if head.startswith(mark)), None)


def by_zeros(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without a byte order mark, as ASCII is written in it; None for anything else."""
    return next((name for pattern, name in _ZEROS if pattern.match(head)), None)


def guesses(sample: bytes) -> list[Guess]:
    """The encodings that may be a sample's, the likeliest first; those that would read C1 controls are left out.

    Source: charset_normalizer's measures of mess and of coherence with a language; their weights are ours.
    """
    from charset_normalizer import from_bytes

    found = from_bytes(sample, cp_isolation=[*_GUESSED, *_CORES.values()], threshold=0.6)
    losses: dict[str, float] = {}
    for each in found:
        names = each.could_be_from_charset
        likely = [name for name in names if name in _GUESSED]
        if likely and not CONTROLS.search(str(each)):
            name = max(likely, key=_GUESSED.__getitem__)
            outside = _OUTSIDE if _CORES.get(name, name) not in names else 0.0
            losses[name] = each.chaos - each.coherence / 2 - _GUESSED[name] + outside
    weights = {name: math.exp(-_SHARPNESS * loss) for name, loss in losses.items()}
    whole = sum(weights.values())
    ranked = sorted(weights.items(), key=lambda each: each[1], reverse=True)
    return [Guess(encoding=name, share=weight / whole) for name, weight in ranked]


def explained(found: Iterable[Guess], raw: bytes, *, remedy: str) -> str:
    """What to do about a line that is not UTF-8, given what its file's encoding may be; ``remedy`` takes the name."""
    likely = [each for each in found if each.share >= _LEAST_SHARE][:3]
    if not likely:
        return f"it looks like no encoding; if you know which it is: {remedy.format('NAME')}"
    best, *others = likely
    also = "".join(
        f"; or {each.encoding}, {each.share:.0%}, which would read {_around(raw, each.encoding)!r}" for each in others
    )
    return (
        f"it looks like {best.encoding} ({best.share:.0%} sure), which reads {_around(raw, best.encoding)!r}{also}: "
        f"if the first is right, {remedy.format(best.encoding)}"
    )


def damage(text: str) -> str:
    """What happened to a text before it was written, where it shows; empty for a text that is whole.

    >>> damage("GrÃ¶ÃŸe"), damage("Gr\ufffd\ufffde"), damage("Größe „ja“")
    ('UTF-8 that was read as cp1252', 'signs U+FFFD in place of letters that were lost', '')
    """
    if text.isascii():
        return ""
    if "\ufffd" in text:
        return "signs U+FFFD in place of letters that were lost"
    if not _BEGINS_UTF8.search(text):
        return ""
    try:
        text.encode("cp1252").decode(UTF8)
    except UnicodeError:
        return ""
    return "UTF-8 that was read as cp1252"


def _around(raw: bytes, encoding: str) -> str:
    """The characters around the first that is not ASCII."""
    text = raw.decode(encoding, errors="replace").strip()
    place = next((place for place, character in enumerate(text) if not character.isascii()), 0)
    return text[max(0, place - 15) : place + 25]


class Transcoded(RawIOBase):
    """A file in another encoding, read as UTF-8. Reading raises InputError for bytes that the encoding has not."""

    def __init__(self, file: BufferedReader, encoding: str) -> None:
        self._file, self._encoding = file, encoding
        self._decoder: Any = codecs.getincrementaldecoder(encoding)("strict")
        self._ready = b""
        self._num_read = 0
        self._has_ended = False

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` with UTF-8; how many bytes that are, 0 at the end."""
        while not self._ready and not self._has_ended:
            raw = self._file.read(2**16)
            self._has_ended = not raw
            try:
                self._ready = self._decoder.decode(raw, final=self._has_ended).encode()
            except UnicodeError as error:
                place = max(0, self._num_read + getattr(error, "start", 0))
                reason = f"not {self._encoding} at about byte {place + 1} of the file"
                raise InputError(reason, hint="name another encoding: --encoding NAME") from error
            self._num_read += len(raw)
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size
