"""Rules that what is relevant in training obeys, whatever they would gain: what a filter would demand.

Shapes: R pairs of a query and a document that is relevant to it.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.records import Metadata
from nearer.retrieval.metadata_schema import MetadataSchema
from nearer.retrieval.rules import Pairs, Rule, condition_of, passing, passing_pairs

MIN_QUERIES = 20
"""Training queries that must have the field. Of 20 that all obey, 86 % obey at 95 % confidence (0.05 ** (1 / 20))."""

MAX_P_VALUE = 0.001
"""A value is a rule only where chance would hardly ever give it to so many relevant documents. Our rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportedRule:
    """A rule, and the share of what is relevant in training that obeys it."""

    rule: Rule
    share: float

    def __str__(self) -> str:
        return f"{self.rule} ({self.share:.0%} of what is relevant in training)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSupport:
    """The rules that are obeyed, those of documents alone last, and why query-time fields have none."""

    rules: tuple[SupportedRule, ...]
    notes: tuple[str, ...]


def rule_support(
    schema: MetadataSchema,
    *,
    queries: Sequence[Metadata],
    relevant: Pairs,
    query_time_fields: Collection[str],
    min_share: float,
) -> RuleSupport:
    """The rules of a schema that ``min_share`` of the relevant documents obey.

    ``relevant`` are rows of ``queries``, which are those of training, and of the schema's documents. Of the rules
    between a field of the query and the documents' it is the strictest, = before <= and >=; each query counts once.
    """
    rules, notes = [], []
    for field in query_time_fields:
        num_having = len({row for row in relevant[0].tolist() if queries[row].get(field) is not None})
        tried = [rule for rule in schema.rules if rule.query_field == field]
        shares = {rule: _share(rule, schema, queries, relevant) for rule in tried if num_having >= MIN_QUERIES}
        found = [SupportedRule(rule=rule, share=share) for rule, share in shares.items() if share >= min_share]
        rules += found[:1]
        if found:
            continue
        said = ", ".join(f"{rule} for {share:.0%}" for rule, share in shares.items())
        reason = f"of the relevant documents in training {said}; {min_share:.0%} must obey"
        if num_having < MIN_QUERIES:
            few = f"only {num_having} training queries with a relevant document have it"
            reason = f"{few}, fewer than {MIN_QUERIES}"
        elif not tried:
            reason = schema.excluded.get(field, "no document has it")
        notes.append(f"no rule of {field}: {reason}")
    return RuleSupport(rules=(*rules, *_value_rules(schema, relevant, min_share=min_share)), notes=tuple(notes))


def _share(rule: Rule, schema: MetadataSchema, queries: Sequence[Metadata], relevant: Pairs) -> float:
    """The share of a query's relevant documents that obey, as a mean over the queries to which the rule applies."""
    obeys_R = passing_pairs(rule, relevant, queries=queries, documents=schema.documents)
    applies_R = np.array([rule.applies_to(queries[row]) for row in relevant[0]], np.bool_)
    _, places, counts = np.unique(relevant[0][applies_R], return_inverse=True, return_counts=True)
    return float((np.bincount(places, weights=obeys_R[applies_R]) / counts).mean())


def _value_rules(schema: MetadataSchema, relevant: Pairs, *, min_share: float) -> list[SupportedRule]:
    """Values that ``min_share`` of the relevant documents have, and all documents plainly less often.

    How likely chance alone leaves so few without the value is the binomial tail, times the values tried (Bonferroni).
    """
    documents = [schema.documents[row] for row in np.unique(relevant[1])]
    if len(documents) < MIN_QUERIES:
        return []
    tried = [rule for rule in schema.rules if rule.query_field is None]
    found = []
    for rule in tried:
        condition = condition_of([rule], {})
        assert condition is not None, "a rule of a value applies to every query"
        num_having = int(passing(condition, documents).sum())
        if num_having < min_share * len(documents):
            continue
        share_in_corpus = float(passing(condition, schema.documents).mean())
        chance = _binomial_tail(len(documents) - num_having, len(documents), 1 - share_in_corpus)
        if chance * len(tried) <= MAX_P_VALUE:
            found.append(SupportedRule(rule=rule, share=num_having / len(documents)))
    return found


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
