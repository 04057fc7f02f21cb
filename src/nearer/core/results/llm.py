"""What language models, and rules in their place, wrote and judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nearer.core.results.base import OMITTED, Result
from nearer.core.results.measuring import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmUse(Result):
    """What a language model was asked: answers that were ``num_kept`` from before cost nothing.

    ``cost_usd`` is None where no price is known. ``faults`` counts questions without a usable answer, by reason;
    ``num_left_out`` were not asked, for they might have cost more than ``max_cost_usd``.
    """

    model: str
    num_asked: int
    num_kept: int
    num_read_tokens: int
    num_written_tokens: int
    cost_usd: float | None
    faults: Mapping[str, int]
    num_left_out: int = 0
    max_cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticQuery(Result):
    """A query that stays, with its document: a sample."""

    query: str
    style: str
    doc_id: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape(Result):
    """How queries look: how many, words on average, and the share of each style."""

    num_queries: int
    mean_words: float | None
    styles: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesized(Result):
    """Queries that were written for documents: ``num_kept`` of ``num_written`` stay, as training queries.

    ``num_gone`` and ``samples_gone`` say what went and why; a tenth of the documents' queries (``num_choosing``) are
    kept out of training, to choose a checkpoint where no real query is judged. ``synthetic`` beside ``real`` queries
    says how alike they are. After a dry run nothing is kept, and ``use`` is an estimate.
    """

    method: str
    num_documents: int
    num_written: int
    num_kept: int
    num_choosing: int
    num_gone: Mapping[str, int]
    samples_gone: Mapping[str, tuple[str, ...]]
    samples: tuple[SyntheticQuery, ...]
    synthetic: Shape
    real: Shape
    prompt: str | None
    num_suspicious: int
    is_dry_run: bool
    notes: tuple[str, ...]
    use: LlmUse | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration(Result):
    """A language model's grades beside people's on the pairs that both judged; None where that is not defined.

    ``bias`` is the mean of its grade less theirs. ``confusion`` counts pairs by people's grade, then by its own.
    ``order_agreement`` is the share of pairs that got one grade in both orders.
    """

    num_pairs: int
    kappa: Interval | None
    bias: Interval | None
    confusion: tuple[tuple[int, ...], ...]
    order_agreement: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedMetric(Result):
    """nDCG@10 of a system by people alone, by the model alone, and by both: people correct the model.

    ``corrected`` (PPI++) needs queries that people judged, ``num_human`` of ``num_queries``; None below a few.
    """

    system: str
    num_queries: int
    num_human: int
    human: Interval | None
    model: Interval | None
    corrected: Interval | None
    weight_of_model: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelJudged(Result):
    """Judgments of a language model, source ``llm``: never in the place of people's.

    ``num_pairs`` were to be judged, ``num_judged`` have a grade, each of ``num_votes`` answers in two orders.
    ``verdict`` is "poor" where people disagree with it: its judgments are kept, and should not be trained on.
    """

    verdict: str
    num_queries: int
    num_pairs: int
    num_judged: int
    num_votes: int
    by_grade: Mapping[str, int]
    calibration: Calibration
    corrected: tuple[CorrectedMetric, ...]
    prompt: str
    num_suspicious: int
    is_dry_run: bool
    notes: tuple[str, ...]
    use: LlmUse | None = field(default=None, metadata=OMITTED)
