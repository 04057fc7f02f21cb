"""The rules of advice: what comes before any remedy, and the cheapest remedy that is nearly as good as the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from nearer.core.errors import InputError
from nearer.core.sections import AdviseRecipe

RECOMMENDATIONS = (
    "fix_data",
    "filter",
    "hybrid",
    "rerank",
    "adapter",
    "change_encoder",
    "fine_tune",
    "fine_tune_and_pipeline",
    "collect_data",
    "leave",
)
"""All that advice may say.

``filter`` and ``change_encoder`` are never the short answer: five numbers do not tell what a query knows, or what
other models there are.
"""

LEAVE, FIX_DATA, COLLECT_DATA = "leave", "fix_data", "collect_data"
FINE_TUNE, FINE_TUNE_AND_PIPELINE = "fine_tune", "fine_tune_and_pipeline"
CHANGE_ENCODER = "change_encoder"
_TRAINED = (FINE_TUNE, "adapter")
_SPARSE = 0.05
"""Our rule: a first place that is right in every second query is a share of 0.05 where each has one judged document."""
DATA_CAUSES = ("absent", "stale_index", "truncated")
"""Causes of failed queries that no model mends. A doubtful label is not among them: it is a suspicion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A remedy that was measured: ``word`` recommends it; the difference is from base, with its interval.

    ``basis`` says what the difference was measured on, where that is not what the others were.
    """

    name: str
    word: str
    value: float
    difference: float
    low: float
    high: float
    basis: str = ""

    @property
    def is_proven(self) -> bool:
        """Whether the whole interval of the difference lies above 0."""
        return self.low > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviceCase:
    """What the verdict is about: the base, how it fails, and how much there is to learn from.

    ``causes`` counts the failed ones of ``num_diagnosed`` queries by their cause; ``judged`` is the share of the base's
    ten best documents that somebody judged, where that was measured. ``unread`` says what the base's tokenizer does not
    know, where that is so much that the base cannot read the texts.
    """

    base: float
    num_queries: int
    num_diagnosed: int
    causes: Mapping[str, int]
    num_pairs: int
    target: float | None = None
    judged: float | None = None
    unread: str | None = None


BROKEN_BASE = 0.15
"""nDCG@10 of a base that mostly meets faulty data, unless a remedy is proven to gain.

Our rule: the worst base in docs/results.md is at 0.36.
"""
SATURATED_BASE = 0.95
"""nDCG@10 from which what is missing is mostly disagreement about the judgments. Our rule."""

DATA_SHARE = 0.1
"""Share of the diagnosed queries that fail for data no remedy mends, from which data come first. Our rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The thresholds of the verdict, each as docs/reference/recipe.md tells its source.

    ``cheapest_first`` orders the words of remedies by what they cost to make and to keep.
    """

    tolerance: float
    min_pairs: int
    cheapest_first: Sequence[str]

    @classmethod
    def of(cls, recipe: AdviseRecipe) -> "Rules":
        """The thresholds of a recipe."""
        return cls(**{each.name: getattr(recipe, each.name) for each in fields(cls)})

    def __post_init__(self) -> None:
        unknown = [word for word in self.cheapest_first if word not in RECOMMENDATIONS]
        if unknown:
            raise InputError(
                f"advise.cheapest_first: {unknown[0]!r} is no remedy", hint=f"there are: {', '.join(RECOMMENDATIONS)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The word, the remedy it means (none for words that are none), and the reasons in sentences."""

    word: str
    name: str | None
    reasons: tuple[str, ...]


def obstacle(base: float, num_pairs: int, rules: Rules) -> str | None:
    """What to do first where no gain is proven: ``fix_data``, ``leave`` or ``collect_data``; None where nothing is."""
    if base < BROKEN_BASE:
        return FIX_DATA
    if base >= SATURATED_BASE:
        return LEAVE
    return COLLECT_DATA if num_pairs < rules.min_pairs else None


def decide(case: AdviceCase, tried: Sequence[Tried], rules: Rules) -> Decision:
    """The cheapest remedy within ``tolerance`` of the best whose gain is proven; base, where none is worth it.

    Data that no remedy can mend comes first. What trains a base that cannot read the texts is no remedy. Of remedies of
    one word the earlier in ``tried`` is the cheaper.
    """
    begin = f"Base reaches {case.base:.3f} on {case.num_queries:,} queries, each judged where nothing was tuned on it."
    if case.unread and case.base < SATURATED_BASE:
        return _unreadable(case, tried, rules, [begin, unreadable(case.unread)])
    return _readable(case, tried, rules, begin)


def unreadable(unread: str) -> str:
    """Why a base that cannot read the texts is not to be trained."""
    return (
        f"The base cannot read the texts: its tokenizer does not know {unread}. Training does not mend that; another "
        "base does, named in advise.encoders to be measured beside this one."
    )


def _unreadable(case: AdviceCase, tried: Sequence[Tried], rules: Rules, begin: list[str]) -> Decision:
    if fault := _data_fault(case):
        return Decision(word=FIX_DATA, name=None, reasons=(*begin, fault))
    left = [each for each in tried if each.word not in _TRAINED and each.is_proven]
    left = [each for each in left if each.difference > rules.tolerance]
    if not left:
        return Decision(word=CHANGE_ENCODER, name=None, reasons=tuple(begin))
    best = max(left, key=lambda each: each.value)
    return Decision(
        word=best.word, name=best.name, reasons=(*begin, f"Until then the best is {best.name}: {_gain(best)}.")
    )


def _readable(case: AdviceCase, tried: Sequence[Tried], rules: Rules, begin: str) -> Decision:
    proven = [each for each in tried if each.is_proven and each.difference > rules.tolerance]
    first = None if proven else obstacle(case.base, case.num_pairs, rules)
    if fault := broken() if first == FIX_DATA else _data_fault(case):
        return Decision(word=FIX_DATA, name=None, reasons=(begin, fault))
    if not proven:
        return _without_gain(case, tried, rules, [begin], first=first)
    best = max(proven, key=lambda each: each.value)
    near = [each for each in proven if best.value - each.value <= rules.tolerance]
    chosen = min(near, key=lambda each: _rank(each.word, rules))
    reasons = [begin, *_sparse(case), f"The best is {best.name}: {_gain(best)}."]
    if chosen is not best:
        reasons.append(f"{chosen.name} is cheaper and within {rules.tolerance:g} of it: {_gain(chosen)}.")
    reasons += _passed_over(near, chosen, rules)
    if chosen.word != FINE_TUNE:
        return Decision(word=chosen.word, name=chosen.name, reasons=tuple(reasons))
    beside = _pipeline(case, chosen, proven, rules)
    return Decision(word=FINE_TUNE_AND_PIPELINE if beside else FINE_TUNE, name=chosen.name, reasons=(*reasons, *beside))


def broken() -> str:
    """Why a base is taken as broken."""
    return f"Below {BROKEN_BASE:g} ids, judgments or texts are mostly faulty: nearer check."


def _data_fault(case: AdviceCase) -> str:
    """Why the data must be corrected first; empty when it need not."""
    num_data = sum(case.causes.get(cause, 0) for cause in DATA_CAUSES)
    if not num_data or num_data / case.num_diagnosed < DATA_SHARE:
        return ""
    what = ", ".join(f"{case.causes[cause]} {cause}" for cause in DATA_CAUSES if case.causes.get(cause))
    return f"{num_data} of {case.num_diagnosed} queries fail for data that no remedy mends ({what}): nearer diagnose."


def _sparse(case: AdviceCase) -> list[str]:
    """That hardly anything which is found was judged."""
    if case.judged is None or case.judged >= _SPARSE:
        return []
    return [
        f"Only {case.judged:.0%} of the ten best documents are judged, so all values are lower than what people would "
        "see; differences count, and judging more of what is returned would tell most."
    ]


def _without_gain(
    case: AdviceCase, tried: Sequence[Tried], rules: Rules, begin: list[str], *, first: str | None
) -> Decision:
    best = max(tried, key=lambda each: each.difference, default=None)
    why = "No remedy was measured."
    if best:
        why = f"No remedy is proven to gain more than {rules.tolerance:g}; the highest is {best.name}: {_gain(best)}."
    if first == COLLECT_DATA:
        return Decision(word=COLLECT_DATA, name=None, reasons=(*begin, why, few_pairs(case.num_pairs, rules)))
    return Decision(word=LEAVE, name="base", reasons=(*begin, why, "What is there can stay."))


def few_pairs(num_pairs: int, rules: Rules) -> str:
    """That there is little to learn from."""
    return f"{num_pairs:,} training pairs, fewer than {rules.min_pairs:,}, are little to learn from."


def _passed_over(near: Sequence[Tried], chosen: Tried, rules: Rules) -> list[str]:
    """That training would do as well, and is not needed."""
    dearer = [each for each in near if each.word == FINE_TUNE and each is not chosen]
    return [f"Fine-tuning is expected to gain no more than that: {_gain(each)}." for each in dearer]


def _pipeline(case: AdviceCase, chosen: Tried, proven: Sequence[Tried], rules: Rules) -> list[str]:
    """What to do beside fine-tuning: what texts cannot teach, or what closes the rest to the target."""
    structure = [each for each in proven if each.word == "filter"]
    if structure:
        best = max(structure, key=lambda each: each.value)
        return [f"{best.name} uses what the texts do not say, so it adds to training: {_gain(best)}."]
    others = [each for each in proven if each.word in ("hybrid", "rerank")]
    if case.target is not None and chosen.value < case.target and others:
        best = max(others, key=lambda each: each.value)
        return [f"That is short of the target of {case.target:.3f}; {best.name} can close part of it: {_gain(best)}."]
    return []


def _rank(word: str, rules: Rules) -> int:
    order = list(rules.cheapest_first)
    return order.index(word) if word in order else len(order)


def _gain(each: Tried) -> str:
    basis = f", {each.basis}" if each.basis else ""
    return f"{each.value:.3f}, {each.difference:+.3f} [{each.low:+.3f}, {each.high:+.3f}]{basis}"
