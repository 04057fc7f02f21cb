"""What was mined before a pass: where negatives came from, how many may be false, and some to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

from nearer.core.results.training import FalseNegatives, MinedSample, MiningReport, Pass
from nearer.html_report.formats import Excerpt, excerpt, plural
from nearer.learn.margins import NO_MARGIN

_UNKNOWN = "How many of the drawn negatives are false is not known: too few queries have two known positives."
_SOURCES = {"dense": "the model", "bm25": "BM25"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleView:
    """A drawn negative beside its positive."""

    query: str
    positive: Excerpt
    negative: Excerpt
    positive_score: float
    negative_score: float
    sources: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mining:
    """Mining before a pass, in sentences; ``samples`` are nearest to their positives first."""

    number: int
    sentences: Sequence[str]
    samples: Sequence[SampleView]


def mining_of(each: Pass) -> Mining | None:
    """The mining before a pass; None where there was none."""
    mining = each.mining
    if not mining:
        return None
    sentences = [_candidates(mining, number_of=each.number), _margin(mining), _sources(mining), _teacher(mining)]
    estimates = [_estimate(estimate) for estimate in mining.false_negatives]
    if mining.is_excluded:
        estimates.append("So nothing of what was drawn was learned from.")
    if not estimates and mining.samples:
        estimates = [_UNKNOWN]
    return Mining(
        number=each.number,
        sentences=[sentence for sentence in (*sentences, *estimates) if sentence],
        samples=[_sample(sample) for sample in mining.samples],
    )


def _candidates(mining: MiningReport, *, number_of: int) -> str:
    """How many candidates there were, and what became of them."""
    margin, number = mining.margin, mining.num_candidates
    bound = (
        "no margin was asked for"
        if margin <= NO_MARGIN
        else f"{mining.num_inside_margin:,} scored too close to the positive (margin {margin:g})"
    )
    return (
        f"Before pass {number_of} {plural(number, 'hard negative was', 'hard negatives were')} proposed for "
        f"{plural(mining.num_examples, 'pair')}. Of these {mining.num_known_or_own:,} were known positives, "
        f"{mining.num_near_duplicates:,} nearly repeated one, and {bound}; all those were removed. "
        f"{mining.share_with_enough:.0%} of the pairs kept enough, and "
        f"{plural(mining.num_filled_at_random, 'place was', 'places were')} filled at random."
    )


def _teacher(mining: MiningReport) -> str:
    """What a teacher did to what was drawn; nothing where it did nothing."""
    num_masked, num_added = mining.num_masked_by_teacher, mining.num_added_by_teacher
    if not num_masked:
        return ""
    return f"The teacher took {num_masked:,} of the drawn negatives for answers, and made {num_added:,} positives."


def _margin(mining: MiningReport) -> str:
    """What the margin does to known positives; nothing where nothing is known of that."""
    if mining.share_hidden_rejected is None:
        return ""
    return (
        f"The margin rejects {mining.share_hidden_rejected:.0%} of the "
        f"{plural(mining.num_hidden_positives, 'known positive')} that would have been candidates, were they "
        "not known."
    )


def _sources(mining: MiningReport) -> str:
    """What each source proposed, where there are several."""
    sources = mining.sources
    if len(sources) < 2:
        return ""
    summary = [
        f"{_SOURCES[each.source]} proposed {each.num_proposed:,}"
        + ("" if each.num_drawn is None else f" and {each.num_drawn:,} of those drawn")
        for each in sources
    ]
    return f"By source, where a candidate of several counts for each: {'; '.join(summary)}."


def _estimate(estimate: FalseNegatives) -> str:
    share = f"{estimate.value:.1%} [{estimate.low:.1%}, {estimate.high:.1%}]"
    queries = plural(estimate.num_queries, "query", "queries")
    if estimate.value >= 1:
        return (
            f"False negatives: known positives, hidden in turn in {queries}, say nothing of how many there are, since "
            "too many unknown documents outscore the positive."
        )
    return (
        f"False negatives, by hidden positives: at most {share} of the drawn negatives. Known positives were hidden in "
        f"turn, in {queries} with more than one; labels are taken to be missing at random."
    )


def _sample(sample: MinedSample) -> SampleView:
    return SampleView(
        query=sample.query,
        positive=excerpt(sample.positive, max_lines=4, max_characters=300),
        negative=excerpt(sample.negative, max_lines=4, max_characters=300),
        positive_score=sample.positive_score,
        negative_score=sample.negative_score,
        sources=", ".join(_SOURCES[source] for source in sample.sources),
    )
