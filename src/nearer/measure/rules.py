"""Rules on metadata that relevant documents obey, found in training judgments; what a filter would demand.

A document that lacks the field passes no rule, as in a filter.
"""

import math
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nearer.core.records import Metadata

Sign = Literal["=", "<=", ">="]
Value = str | int | float | bool

MIN_QUERIES = 20
"""Training queries that must have the field. Of 20 that all obey, 86 % obey at 95 % confidence (0.05 ** (1 / 20))."""

MAX_P_VALUE = 0.001
"""A value is a rule only where chance would hardly ever give it to so many relevant documents. Our rule."""

MAX_VALUES = 50
"""Fields of more different values are names or texts, and hold no rule for all queries. Our rule."""

_COMPARED: dict[Sign, Callable[[Any, Any], Any]] = {"=": operator.eq, "<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a document's field must be beside the query's own or, when a ``value`` is given, beside that.

    ``share`` of the training judgments it was found in obey it.
    """

    field: str
    sign: Sign
    value: Value | None = None
    share: float = 1.0

    def __str__(self) -> str:
        other = "the query's" if self.value is None else str(self.value)
        return f"{self.field} {self.sign} {other}"

    def admits(self, query: Metadata, document: Metadata) -> bool:
        """Whether the document passes; every document does where the query lacks the field.

        >>> Rule(field="year", sign="<=").admits({"year": 2020}, {"year": 2021})
        False
        """
        wanted = query.get(self.field) if self.value is None else self.value
        return wanted is None or _holds(self.sign, document.get(self.field), wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRules:
    """The rules between a field of the query and the same of the document, and why other fields have none."""

    rules: tuple[Rule, ...]
    notes: tuple[str, ...]


def query_rules(
    fields: Iterable[str], judged: Mapping[str, Sequence[tuple[Metadata, Metadata]]], *, min_share: float
) -> QueryRules:
    """The strictest rule of each field that ``min_share`` of the relevant documents obey: = before <= and >=.

    ``judged`` holds, by training query, its metadata beside that of each relevant document. Values that cannot be
    compared obey nothing.
    """
    rules, notes = [], []
    for field in fields:
        having = [pairs for pairs in judged.values() if pairs and pairs[0][0].get(field) is not None]
        if len(having) < MIN_QUERIES:
            notes.append(
                f"no rule of {field}: only {len(having)} training queries with a relevant document have it, "
                f"fewer than {MIN_QUERIES}"
            )
            continue
        shares = {sign: _mean(_share(sign, field, pairs) for pairs in having) for sign in _COMPARED}
        found = [sign for sign in _COMPARED if shares[sign] >= min_share][:1]
        rules += [Rule(field=field, sign=sign, share=shares[sign]) for sign in found]
        if not found:
            said = ", ".join(f"{sign} for {share:.0%}" for sign, share in shares.items())
            notes.append(f"no rule of {field}: of the relevant documents in training {said}; {min_share:.0%} must obey")
    return QueryRules(rules=tuple(rules), notes=tuple(notes))


def document_rules(relevant: Sequence[Metadata], corpus: Sequence[Metadata], *, min_share: float) -> tuple[Rule, ...]:
    """Values of document fields that ``min_share`` of the relevant documents have, and the corpus plainly less often.

    ``relevant`` is the metadata of each document that is relevant in training, ``corpus`` that of every document. How
    likely chance alone leaves so few without the value is the binomial tail, times the values tried (Bonferroni).
    """
    if len(relevant) < MIN_QUERIES:
        return ()
    counted = {name: _counts(name, corpus) for name in dict.fromkeys(name for each in relevant for name in each)}
    tried = {name: counts for name, counts in counted.items() if 1 <= len(counts) <= MAX_VALUES}
    num_tried = sum(len(counts) for counts in tried.values())
    rules = []
    for name, in_corpus in tried.items():
        [(key, num_relevant)] = _counts(name, relevant).most_common(1) or [(("", ""), 0)]
        if num_relevant < min_share * len(relevant):
            continue
        without = len(relevant) - num_relevant
        chance = _binomial_tail(without, len(relevant), 1 - in_corpus[key] / len(corpus))
        if chance * num_tried <= MAX_P_VALUE:
            rules.append(Rule(field=name, sign="=", value=key[1], share=num_relevant / len(relevant)))
    return tuple(rules)


def _share(sign: Sign, field: str, pairs: Sequence[tuple[Metadata, Metadata]]) -> float:
    return _mean(_holds(sign, document.get(field), query.get(field)) for query, document in pairs)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def _holds(sign: Sign, value: Any, other: Any) -> bool:
    """Whether ``value sign other``: numbers beside numbers, text beside text (ISO dates in order)."""
    kind = _kind(value)
    if not kind or kind != _kind(other) or (kind == "boolean" and sign != "="):
        return False
    return bool(_COMPARED[sign](value, other))


def _kind(value: object) -> str:
    """What a value can be compared with; nothing for lists, objects, NaN and None."""
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number" if math.isfinite(value) else ""
        case str():
            return "text"
    return ""


def _counts(name: str, metadata: Iterable[Metadata]) -> Counter[tuple[str, Value]]:
    """How many have each value of a field; True is not 1 here, and 1 is 1.0."""
    values = [each.get(name) for each in metadata]
    return Counter((_kind(value), value) for value in values if isinstance(value, Value) and _kind(value))


def _binomial_tail(most: int, number: int, probability: float) -> float:
    """How likely at most ``most`` of ``number`` events happen, each of this probability."""
    if probability <= 0:
        return 1.0
    if probability >= 1:
        return float(most >= number)
    odds = (math.log(probability), math.log1p(-probability))
    terms = (
        math.lgamma(number + 1)
        - math.lgamma(k + 1)
        - math.lgamma(number - k + 1)
        + k * odds[0]
        + (number - k) * odds[1]
        for k in range(most + 1)
    )
    return min(1.0, sum(math.exp(term) for term in terms))
