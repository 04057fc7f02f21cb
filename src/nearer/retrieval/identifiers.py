"""Words that name one thing: part numbers, error codes, function names, and words that hardly any document holds."""

import re
from collections import Counter
from collections.abc import Collection, Iterable

RARE_SHARE = 0.001
"""A plain word is rare in at most this share of the documents (one document at least). Our rule."""

IDENTIFIER_SHARE = 0.01
"""The same for a word that looks like an identifier, so that years and common options name nothing. Our rule."""

_WORD = re.compile(r"\w(?:[\w.:/\\@#$%&+\-]*\w)?")
_DIGIT_OR_SIGN = re.compile(r"[\d_.:/\\@#$%&+]")
_CAMEL_CASE = re.compile(r"[a-z][A-Z]")


def words(text: str) -> dict[str, bool]:
    """The words of a text in one letter case, signs inside them kept, and whether each looks like an identifier.

    >>> words("Why does parseArgs raise ERR-4042, twice?")
    {'why': False, 'does': False, 'parseargs': True, 'raise': False, 'err-4042': True, 'twice': False}
    """
    found: dict[str, bool] = {}
    for word in _WORD.findall(text):
        key = word.casefold()
        found[key] = found.get(key, False) or bool(_DIGIT_OR_SIGN.search(word) or _CAMEL_CASE.search(word))
    return found


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
