"""Of which style a query is, and how many of each are to be written so that they are as in the real log."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

Style = Literal["keywords", "question", "conversational", "error"]
STYLES: tuple[Style, ...] = get_args(Style)
USUAL: Mapping[Style, float] = {"keywords": 0.4, "question": 0.4, "conversational": 0.15, "error": 0.05}
"""The shares where no real query is known. Our rule: mostly keywords and questions, and some of each other style."""
FEW = 20
"""Below so many real queries the usual shares count as much as these do."""

_ERROR = re.compile(
    r"\b\w*(?:error|exception|errno|traceback|segfault|fatal|panic)\b|\b0x[0-9a-f]{2,}\b|\bcode \d{2,}\b", re.IGNORECASE
)
_ASKS = re.compile(
    r"^(?:how|what|why|when|where|who|which|can|could|should|is|are|do|does|did|will|wie|was|warum|wann|wo|wer|welche\w*|"
    r"kann|comment|pourquoi|quand|où|qui|quel\w*|qué|cómo|cuándo|dónde|por qué|como|quando|onde|cosa|dove|perché)\b",
    re.IGNORECASE,
)
_TALKS = re.compile(
    r"\b(?:i|i'm|my|we|our|me|ich|mein\w*|wir|uns\w*|je|mon|ma|nous|notre|yo|mi|nosotros)\b", re.IGNORECASE
)
_LONG = 9


def style_of(text: str) -> Style:
    """The style of a query, by its form alone.

    >>> [style_of(each) for each in ("rotate log", "how do I rotate a log?", "OSError: no space")]
    ['keywords', 'question', 'error']
    >>> style_of("I have a server whose disk is full of old logs and need them gone")
    'conversational'
    """
    stripped = text.strip()
    num_words = len(stripped.split())
    if _ERROR.search(stripped) and not stripped.endswith("?"):
        return "error"
    if num_words >= _LONG and _TALKS.search(stripped) and not _ASKS.match(stripped):
        return "conversational"
    if stripped.endswith(("?", "？", "؟")) or (_ASKS.match(stripped) and num_words > 2):
        return "question"
    return "conversational" if num_words > _LONG else "keywords"


def proportions(queries: Sequence[str]) -> dict[Style, float]:
    """The shares of the styles among real queries; the usual ones count where these are few."""
    counts = Counter(map(style_of, queries))
    weight = max(0, FEW - len(queries)) if len(queries) < FEW else 0
    total = len(queries) + weight
    return {style: (counts[style] + weight * USUAL[style]) / total for style in STYLES}


def allotted(shares: Mapping[Style, float], *, each: int, number: int) -> list[dict[Style, int]]:
    """How many queries of each style to write for each of ``number`` documents, ``each`` in all.

    Over all documents the styles have their shares: what a document cannot have in part goes to the next.

    >>> allotted({"keywords": 0.5, "question": 0.5, "conversational": 0.0, "error": 0.0}, each=1, number=2)
    [{'keywords': 1}, {'question': 1}]
    """
    owed = dict.fromkeys(STYLES, 0.0)
    plans = []
    for _ in range(number):
        plan: dict[Style, int] = {}
        for style in STYLES:
            owed[style] += each * shares[style]
        for _ in range(each):
            style = max(STYLES, key=lambda name: owed[name])
            owed[style] -= 1
            plan[style] = plan.get(style, 0) + 1
        plans.append({style: plan[style] for style in STYLES if style in plan})
    return plans
