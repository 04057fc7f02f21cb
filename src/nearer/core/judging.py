"""One judgment a pair, of the several that may be there: what systems are measured by, and what training sees."""

import math
from collections.abc import Collection, Iterable, Sequence

from nearer.core.errors import InputError
from nearer.core.records import JUDGMENT_SOURCES, Judgment, JudgmentSource


def blend(judgments: Iterable[Judgment], sources: Collection[JudgmentSource]) -> list[Judgment]:
    """One judgment for each pair that one of ``sources`` judged, in the order of the first.

    The most trusted source that judged a pair decides it. Of several raters of one source it is the mean of their
    grades, each by its weight, rounded; half a grade counts as a whole one. Its weight is the mean of theirs. A weight
    of 0 is no vote where another has one.

    >>> said = [
    ...     Judgment(query_id="q", doc_id="d", grade=0, source="clicks"),
    ...     Judgment(query_id="q", doc_id="d", grade=2, source="human", rater="ann"),
    ...     Judgment(query_id="q", doc_id="d", grade=3, source="human", rater="bob"),
    ... ]
    >>> [(each.grade, each.source, each.rater) for each in blend(said, ["human", "clicks"])]
    [(3, 'human', 'ann, bob')]
    """
    of_pair: dict[tuple[str, str], list[Judgment]] = {}
    for each in judgments:
        if each.source in sources:
            of_pair.setdefault((each.query_id, each.doc_id), []).append(each)
    return [said[0] if len(said) == 1 else _decided(said) for said in of_pair.values()]


def _decided(said: Sequence[Judgment]) -> Judgment:
    source = min((each.source for each in said), key=JUDGMENT_SOURCES.index)
    raters = [each for each in said if each.source == source]
    raters = [each for each in raters if each.weight > 0] or raters  # what was overruled has a weight of 0
    total = sum(each.weight for each in raters)
    mean = sum(each.weight * each.grade for each in raters) / total if total else raters[0].grade
    return Judgment(
        query_id=said[0].query_id,
        doc_id=said[0].doc_id,
        grade=math.floor(mean + 0.5),
        source=source,
        rater=", ".join(sorted({each.rater for each in raters} - {""})),
        weight=total / len(raters),
        at=max(each.at for each in raters),
        document_hash=raters[0].document_hash,
    )


def conflicts(judgments: Iterable[Judgment], *, relevant_from: int) -> list[tuple[str, str]]:
    """The pairs that one source judged relevant and another did not."""
    of_pair: dict[tuple[str, str], dict[str, bool]] = {}
    for source in JUDGMENT_SOURCES:
        for each in blend([j for j in judgments if j.source == source], [source]):
            of_pair.setdefault((each.query_id, each.doc_id), {})[source] = each.grade >= relevant_from
    return sorted(pair for pair, said in of_pair.items() if len(set(said.values())) > 1)


def named_sources(text: str, *, option: str) -> tuple[JudgmentSource, ...]:
    """Sources by their names, with commas between. Raises InputError for a name that is none."""
    names = [each.strip() for each in text.split(",") if each.strip()]
    found = tuple(source for source in JUDGMENT_SOURCES if source in names)
    if not names or len(found) < len(set(names)):
        unknown = next((name for name in names if name not in JUDGMENT_SOURCES), text)
        raise InputError(f"{option} {unknown!r}: no source", hint=f"some of {', '.join(JUDGMENT_SOURCES)}")
    return found
