"""Unicode's word boundaries, and what is particular of single scripts. Loaded only for text that is not ASCII."""

import re
import unicodedata
from collections.abc import Sequence

import regex

from nearer.core.analysis import word_patterns

REGEX_VERSION = str(regex.__version__)
_MARKS = r"\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}"  # they belong to the character before
_CJK = r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}ー"
_HANGUL = r"\p{Script=Hangul}"
_SOUTH_EAST_ASIAN = r"\p{LB=SA}\p{Script=Javanese}\p{Script=Balinese}"  # Thai, Lao, Khmer, Burmese and others


def visible(text: str) -> str:
    """A text without the characters that nobody sees: soft hyphens, joiners, spaces of no width and the like."""
    return str(_INVISIBLE.sub("", text))


def parted(text: str) -> str:
    """A text whose fractions, powers and circled numbers stand apart from a number before: 5½ is not 51/2."""
    return str(_NUMBER_AFTER_DIGIT.sub(" ", text))


def spelled(folded: str) -> str:
    """Folded text in one spelling: no optional vowel signs, one apostrophe, one kind of digits."""
    text = _OPTIONAL.sub("", folded).translate(_SPELLINGS)
    text = _GERSHAYIM.sub("\u05f4", text)
    return str(_OTHER_DIGIT.sub(lambda found: str(unicodedata.decimal(found[0], found[0])), text))


def cut(text: str) -> list[tuple[str, str, str, str]]:
    """The stretches of a text in their order, each in the place of its kind: word, Korean, CJK, South East Asian."""
    return list(_TOKEN.findall(text))


def cut_signed(text: str) -> list[tuple[str, str]]:
    """Words with the signs inside them, each in the first place, and stretches of scripts without spaces in the second.

    Korean, which particles follow without a space, is cut from other letters.
    """
    return list(_SIGNED.findall(text))


def characters(stretch: str) -> Sequence[str]:
    """The characters of a stretch, each with its marks."""
    return list(_CHARACTER.findall(stretch))


def count_letters(text: str) -> tuple[int, int]:
    """How many letters a text has, and how many of them are of scripts without spaces."""
    return len(_LETTER.findall(text)), len(_UNSPACED.findall(text))


def _stretch(inside: str) -> str:
    return f"([{inside}][{inside}{_MARKS}]*+)"


_WORD, _CONNECTORS = word_patterns(
    rf"[\p{{WB=ALetter}}\p{{WB=Hebrew_Letter}}--[{_CJK}{_SOUTH_EAST_ASIAN}{_HANGUL}]]",
    r"\p{WB=Numeric}",
    marks=_MARKS,
    in_words=r"\p{WB=MidLetter}\p{WB=MidNumLet}'",
    in_numbers=r"\p{WB=MidNum}\p{WB=MidNumLet}'",
    connectors=r"\p{WB=ExtendNumLet}",
)
_EMOJI = r"\p{RI}\p{RI}|\p{Extended_Pictographic}"
_TOKEN = regex.compile(
    f"({_WORD}|{_EMOJI})|{_stretch(_HANGUL)}|{_stretch(_CJK)}|{_stretch(_SOUTH_EAST_ASIAN)}|{_CONNECTORS}", regex.V1
)
_UNSPACED_STRETCH = f"[{_CJK}{_SOUTH_EAST_ASIAN}][{_CJK}{_SOUTH_EAST_ASIAN}{_MARKS}]*+"
_SIGNED_LETTER = rf"[\p{{L}}\p{{M}}\p{{N}}\p{{Pc}}--[{_CJK}{_SOUTH_EAST_ASIAN}{_HANGUL}]]"
_SIGNED = regex.compile(
    rf"({_SIGNED_LETTER}++(?:[.:/\\@#$%&+\-]++{_SIGNED_LETTER}++)*+|{_HANGUL}++)|({_UNSPACED_STRETCH})", regex.V1
)
_CHARACTER = regex.compile(rf"[^{_MARKS}][{_MARKS}]*+|[{_MARKS}]++")
_INVISIBLE = regex.compile(r"\p{Default_Ignorable_Code_Point}+")
_OPTIONAL = re.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew points and accents
    "\u0610-\u061a\u0640\u064b-\u0652\u0656-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08d3-\u08ff"
    "\u0711\u0730-\u074a]+"  # Arabic vowel signs and the stroke that stretches a word; Syriac points
)
_SPELLINGS = str.maketrans({
    "\u2019": "'", "\u02bc": "'",
    "\u2044": "/",  # ½ is 1/2
    "\u0d7a": "\u0d23\u0d4d", "\u0d7b": "\u0d28\u0d4d", "\u0d7c": "\u0d30\u0d4d",
    "\u0d7d": "\u0d32\u0d4d", "\u0d7e": "\u0d33\u0d4d", "\u0d7f": "\u0d15\u0d4d",
    "\u09ce": "\u09a4\u09cd",
})  # fmt: skip
"""Malayalam's chillus and Bengali's khanda ta, which older texts write with a virama and an invisible joiner.

Source: Unicode Standard, sections 12.9 (Malayalam) and 12.2 (Bengali).
"""
_GERSHAYIM = regex.compile(r'(?<=\p{WB=Hebrew_Letter})"(?=\p{WB=Hebrew_Letter})')
_OTHER_DIGIT = regex.compile(r"[\p{Nd}--0-9]", regex.V1)
_NUMBER_AFTER_DIGIT = regex.compile(r"(?<=\p{Nd})(?=\p{No})")
_LETTER = regex.compile(r"\p{L}")
_UNSPACED = regex.compile(rf"[[{_CJK}{_SOUTH_EAST_ASIAN}]&&\p{{L}}]", regex.V1)
