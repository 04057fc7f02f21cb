r"""How a text is cut into words, and what a word is searched by: one way for every script.

Text is folded first (NFKC, letter case, invisible characters), then cut at Unicode's word boundaries. Where a script
is written without spaces, overlapping groups of characters stand in for words.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from threading import Lock

import Stemmer

STOP_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
    "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
})  # fmt: skip
"""Source: Lucene 9, ENGLISH_STOP_WORDS_SET in EnglishAnalyzer.java."""

ENGLISH, NO_LANGUAGE = "english", "none"
LANGUAGES = (NO_LANGUAGE, *sorted(set(Stemmer.algorithms()) - {"porter", "dutch_porter", "lovins"}))
"""Whose stems are known; ``none`` leaves words as they are."""

VERSION = "3"
"""Counts changes of what ``analyse`` returns: an index of other terms must not be asked."""

_CJK_GROUP, _SOUTH_EAST_ASIAN_GROUP = 2, 3
"""Characters of a group that stands in for a word. Source of 2: Lucene 9, CJKBigramFilter.java; 3 is our rule: a Thai
word has some three characters with their marks."""


def fold(text: str) -> str:
    r"""A text in one Unicode form and one letter case, without characters that nobody sees.

    Source: Unicode Standard, section 3.13, toNFKC_Casefold. A dotted capital I becomes a plain i.

    >>> fold("ﬁle\u00adname İZMİR Ｆｕｌｌ")
    'filename izmir full'
    >>> fold("5½ km²")
    '5 1⁄2 km2'
    """
    if text.isascii():
        return text.lower()
    from nearer.core.scripts import parted, visible

    cased = unicodedata.normalize("NFKC", parted(visible(text))).casefold().replace("i\u0307", "i")
    return unicodedata.normalize("NFKC", cased)


def words(text: str) -> list[str]:
    """The words of a text in any script, folded; groups of characters where a script has no spaces.

    Combining marks belong to their letter, but for vowel signs of Arabic, Hebrew and Syriac, which writers leave out.
    Underscores, and single dots, colons or apostrophes between letters, join; a plus or number sign after a letter
    stays (``c++``); hyphens, slashes and other signs separate. Digits are 0 to 9 in every script; an emoji is a word.

    >>> words("Don't use C++ for naïve 東京都 शब्द")
    ["don't", 'use', 'c++', 'for', 'naïve', '東京', '京都', 'शब्द']
    """
    plain, others = _cut(text)
    found = list(filter(None, plain))
    for word, korean, cjk, south_east_asian in others:
        if cjk:
            found += _groups(cjk, (_CJK_GROUP,))
        elif south_east_asian:
            found += _groups(south_east_asian, (_SOUTH_EAST_ASIAN_GROUP,))
        elif word or korean:
            found.append(word or korean)
    return found


def analyse(text: str, *, language: str = ENGLISH) -> list[str]:
    """The terms of a text, by which BM25 finds it: its words, stemmed as the language asks.

    English is analysed as Lucene does: without possessive 's, without stop words, by Porter's stemmer. Where a script
    has no spaces, and in Korean, the terms are the single characters and all groups of neighbours up to the size of
    ``words``, so that a short query finds a long text.

    Source: Lucene 9, EnglishAnalyzer.java: StandardTokenizer, EnglishPossessiveFilter, LowerCaseFilter, StopFilter,
    PorterStemFilter; other languages: Snowball's stemmers, and Lucene's lists of elisions.

    >>> analyse("The parser's foo_bar raised HTTP-404 in C++ 1.5")
    ['parser', 'foo_bar', 'rais', 'http', '404', 'c', '1.5']
    >>> analyse("東京", language="none"), analyse("les maisons d'été", language="french")
    (['東', '京', '東京'], ['le', 'maison', 'été'])
    """
    if language == "turkish":
        text = text.replace("İ", "i").replace("I", "ı")
    plain, others = _cut(text)
    found = [term for word in plain if word and (term := _term(word, language))]
    for word, korean, cjk, south_east_asian in others:
        if south_east_asian:
            found += _groups(south_east_asian, range(1, _SOUTH_EAST_ASIAN_GROUP + 1))
        elif korean or cjk:
            found += _groups(korean or cjk, range(1, _CJK_GROUP + 1))
        elif word and (term := _term(word, language)):
            found.append(term)
    return found


def analyser_id(language: str) -> str:
    """What an index of terms must agree in with who asks it."""
    from nearer.core.scripts import REGEX_VERSION

    versions = (VERSION, unicodedata.unidata_version, REGEX_VERSION, Stemmer.version())
    return "-".join([language, *(each.replace(".", "_") for each in versions)])


def count_letters(text: str) -> tuple[int, int]:
    """How many letters a text has, and how many of them are of scripts without spaces.

    >>> count_letters("東京 ab 7")
    (4, 2)
    """
    if text.isascii():
        return sum(map(str.isalpha, text)), 0
    from nearer.core import scripts

    return scripts.count_letters(text)


def word_patterns(
    letters: str, digits: str, *, marks: str, in_words: str, in_numbers: str, connectors: str
) -> tuple[str, str]:
    """The patterns of a word and of connectors alone, from the insides of character classes.

    Connectors without a letter or digit are to be matched too, so that they are walked only once.

    Source: Unicode Standard Annex 29, rules WB4 to WB13b; Lucene 9, StandardTokenizerImpl.jflex.
    """

    def several(characters: str, joined_by: str = "") -> str:
        stretch = f"[{characters}][{characters}{marks}]*+"
        joint = f"[{joined_by}][{marks}]*+" if marks else f"[{joined_by}]"
        return f"{stretch}(?:{joint}{stretch})*+" if joined_by else stretch

    joints = several(connectors)
    run = f"(?:{several(letters, in_words)}|{several(digits, in_numbers)})++"
    signs = f"(?:(?<=[{letters}])[+#]++(?![{letters}{digits}{connectors}]))?+"
    return f"(?:{joints})?+{run}(?:{joints}{run})*(?:{joints})?+{signs}", joints


_ASCII, _UNDERSCORES = word_patterns("a-z", "0-9", marks="", in_words=":.'", in_numbers=",;.'", connectors="_")
_ASCII_WORD = re.compile(f"({_ASCII})|{_UNDERSCORES}")  # some four times as fast


def _cut(text: str) -> tuple[list[str], list[tuple[str, str, str, str]]]:
    """The words of ASCII text, some of them empty; or the stretches of other text, as ``scripts.cut`` gives them."""
    spelled = fold(text)
    if not spelled.isascii():
        from nearer.core import scripts

        spelled = scripts.spelled(spelled)
        if not spelled.isascii():
            return [], scripts.cut(spelled)
    return _ASCII_WORD.findall(spelled), []


def _groups(stretch: str, sizes: Iterable[int]) -> list[str]:
    """All groups of neighbouring characters of these sizes, each with its marks; the whole where none is as long."""
    from nearer.core.scripts import characters

    units = characters(stretch)
    found = ["".join(units[i : i + size]) for size in sizes for i in range(len(units) - size + 1)]
    return found or [stretch]


_ELISIONS = {
    "french": "l m t qu n s j d c jusqu quoiqu lorsqu puisqu",
    "italian": "c l all dall dell nell sull coll pell gl agl dagl degl negl sugl un m t s v d",
    "catalan": "d l m n s t",
}
"""What stands before an apostrophe and is no part of the word. Source: Lucene 9, FrenchAnalyzer.java and others."""
_ELIDED = {language: frozenset(each.split()) for language, each in _ELISIONS.items()}


@lru_cache(maxsize=2**16)
def _term(word: str, language: str) -> str:
    """What a word is searched by; nothing for a stop word."""
    if word[-1] in "+#":
        word = word.rstrip("+#")
    if language == NO_LANGUAGE:
        return word
    if language == ENGLISH:
        if word.endswith("'s"):
            word = word[:-2]
        return "" if word in STOP_WORDS else _english_stem(word)
    before, apostrophe, after = word.partition("'")
    if apostrophe and before in _ELIDED.get(language, ()):
        word = after
    return _stem(word, language)


def _english_stem(word: str) -> str:
    """Porter's stem as Lucene makes it: words of two letters stay, and -bli and -logi end as in Porter's own program.

    Source: Porter, An Algorithm for Suffix Stripping (1980); the departures: Lucene 9, PorterStemmer.java.
    """
    if len(word) <= 2:
        return word
    stem = _stem(word, "porter")
    if stem.endswith("logi") and _MEASURED.search(stem[:-4]):
        return stem[:-1]
    if stem.endswith("bli") and _MEASURED.search(stem[:-3]):
        return _stem(stem[:-1] + "e", "porter")
    return stem


def _stem(word: str, algorithm: str) -> str:
    with _STEMMING:
        return str(_stemmer(algorithm).stemWord(word))


@cache
def _stemmer(algorithm: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(algorithm, 0)


_STEMMING = Lock()  # a stemmer is not to be used by two threads at once
_MEASURED = re.compile(r"([aeiou]|(?<=[^aeiou])y)[^aeiou]")  # a vowel, then a consonant: Porter's m > 0
