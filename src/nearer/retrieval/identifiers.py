"""Words that name one thing: part numbers, error codes, function names, and words that hardly any document holds."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable

from nearer.core.analysis import fold
from nearer.core.analysis import words as cut

RARE_SHARE = 0.001
"""A plain word is rare in at most this share of the documents (one document at least). Our rule."""

IDENTIFIER_SHARE = 0.01
"""The same for a word that looks like an identifier, so that years and common options name nothing. Our rule."""

_WORD = re.compile(r"\w++(?:[.:/\\@#$%&+\-]++\w++)*+", re.ASCII)
_DIGIT_OR_SIGN = re.compile(r"[\d_.:/\\@#$%&+]")
_CAMEL_CASE = re.compile(r"[a-z][A-Z]")


def words(text: str) -> dict[str, bool]:
    """The words of a text in one letter case, signs inside them kept, and whether each looks like an identifier.

    Where a script has no spaces, groups of characters stand in for words, and an identifier ends where they begin.

    >>> words("Why does parseArgs raise ERR-4042, twice?")
    {'why': False, 'does': False, 'parseargs': True, 'raise': False, 'err-4042': True, 'twice': False}
    """
    found: dict[str, bool] = {}
    for word in _words(text):
        key = fold(word)
        found[key] = found.get(key, False) or bool(_DIGIT_OR_SIGN.search(word) or _CAMEL_CASE.search(word))
    return found


def _words(text: str) -> list[str]:
    if text.isascii():
        return _WORD.findall(text)
    from nearer.core.scripts import cut_signed, visible

    normal = unicodedata.normalize("NFKC", visible(text))
    return [word for signed, unspaced in cut_signed(normal) for word in ([signed] if signed else cut(unspaced))]


def document_frequencies(wanted: Collection[str], texts: Iterable[str]) -> Counter[str]:
    """How many of the texts hold each of the ``wanted`` words."""
    wanted = frozenset(wanted)
    return Counter(word for text in texts for word in wanted & words(text).keys())


def shared_names(query: str, text: str, *, frequencies: Counter[str], num_documents: int) -> tuple[str, ...]:
    """The identifiers and rare words of a query that a text holds too, in the query's order.

    ``frequencies`` says how many of the ``num_documents`` documents hold each word of the query.

    >>> frequencies = document_frequencies(words("E4042 found"), ["E4042 found", "found", "found it"])
    >>> shared_names("E4042 found", "it is E4042", frequencies=frequencies, num_documents=3)
    ('e4042',)
    """
    held = words(text)
    shares = {True: IDENTIFIER_SHARE, False: RARE_SHARE}
    return tuple(
        word
        for word, is_identifier in words(query).items()
        if word in held and frequencies[word] <= max(1, shares[is_identifier] * num_documents)
    )
