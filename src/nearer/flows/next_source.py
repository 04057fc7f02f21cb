"""Which source of judgments to buy next: what so many dollars of each gain, by the learning curve of each."""

from collections.abc import Mapping

from nearer.advice.learning_curve import FEWEST_PAIRS, measure_curve
from nearer.core.errors import InputError, NearerError
from nearer.core.judging import blend
from nearer.core.progress import Progress, Silent
from nearer.core.records import TRUSTED, JudgmentSource
from nearer.core.results.advice import NextSource, SourceValue
from nearer.evaluation.grades import scale_of
from nearer.evaluation.ready import ready_to_measure
from nearer.store.workspace import Workspace
from nearer.training.dev_set import DEV_MEASURE

SOURCES: Mapping[JudgmentSource, tuple[JudgmentSource, ...]] = {
    "human": TRUSTED,
    "llm": ("llm",),
    "synthetic": ("synthetic",),
    "clicks": ("clicks",),
}
PRICES_USD: Mapping[JudgmentSource, float] = {"human": 1.25, "llm": 0.01, "synthetic": 0.002, "clicks": 0.0}
"""What a judgment costs unless it is said: people take 0.50 to 2.00, a model cents, traffic no money."""
_FAR = 4
"""No more pairs are thought of than so many times those there are: further out no curve tells."""


def next_source(
    workspace: Workspace,
    *,
    dollars: float = 100.0,
    prices: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> NextSource:
    """Train on some of the pairs of each source, and forecast on dev what more of it, for so many dollars, would gain.

    ``prices`` are US dollars a judgment, by source. Raises InputError for dollars or prices below 0 and an unknown
    source, and without judged documents.
    """
    known: dict[str, float] = {**{str(name): price for name, price in PRICES_USD.items()}, **(prices or {})}
    if unknown := sorted(known.keys() - SOURCES.keys()):
        raise InputError(f"{unknown[0]!r} is no source that can be bought", hint=f"one of: {', '.join(SOURCES)}")
    if dollars <= 0 or min(known.values()) < 0:
        raise InputError("dollars and prices are above 0", hint="for example: nearer advise --next-source 100")
    ready_to_measure(workspace)
    values = tuple(
        _value(workspace, source, price=known[source], dollars=dollars, progress=progress or Silent())
        for source in SOURCES
    )
    proven = [each for each in values if each.gain and each.gain.low > 0]
    best = max(proven, key=lambda each: each.gain.value if each.gain else 0.0, default=None)
    return NextSource(
        dollars=dollars,
        metric=str(DEV_MEASURE),
        values=values,
        best=best.source if best else None,
        notes=() if proven else ("no gain is proven: more dev queries tell more, see nearer evaluate",),
    )


def _value(
    workspace: Workspace, source: JudgmentSource, *, price: float, dollars: float, progress: Progress
) -> SourceValue:
    scale = scale_of(workspace)
    said = blend((each for each in workspace.collection.all_judgments("train")), SOURCES[source])
    num_pairs = sum(each.grade >= scale.positive_from for each in said)
    most = _FAR * num_pairs
    num_bought = max(1, min(most, round(dollars / price))) if price else num_pairs
    gain, why = None, f"{num_pairs} training pairs, fewer than {FEWEST_PAIRS}: no curve can be measured"
    if num_pairs >= FEWEST_PAIRS:
        progress.say(f"{source}: {num_pairs} pairs")
        learned = workspace.with_values({"train.judged_by": list(SOURCES[source])})
        try:
            gain = measure_curve(learned, progress=progress, num_bought=num_bought).marginal
            cut = price and num_bought == most
            why = f"no more than {_FAR} times the pairs there are: further out no curve tells" if cut else ""
        except NearerError as error:
            why = error.message
    return SourceValue(source=source, num_pairs=num_pairs, price_usd=price, num_bought=num_bought, gain=gain, why=why)
