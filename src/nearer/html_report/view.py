"""The page: what was gathered, put into words and charts, and set in the template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nearer.core.escape import escape_controls
from nearer.core.results.releases import HistoryEvent
from nearer.html_report import charts, formats
from nearer.html_report.comparison import NUM_SLICES_SHOWN, ComparisonView, compared
from nearer.html_report.data import ReportData
from nearer.html_report.loop import loop_of
from nearer.html_report.merge import merge_of
from nearer.html_report.size import size_of
from nearer.html_report.suite import suite_of
from nearer.html_report.training import training_of
from nearer.store.registered import Release

DECISIONS = {
    "promote": "promoted",
    "refuse": "refused",
    "rollback": "rolled back",
    "arm": "for some users",
    "hold": "let through",
}
SECTIONS = {
    "measured": "Measured",
    "where": "Where",
    "examples": "Won and lost",
    "advice": "Advice",
    "suite": "Suite",
    "training": "Training",
    "size": "Size",
    "loop": "Turns",
    "shadow": "Shadow",
    "decisions": "Decisions",
    "lineage": "Lineage",
}
"""The sections of a page by their anchors; those that have nothing to say yet are lines of the last one."""
_FOLDER = Path(__file__).parent
_FILTERS = ("count", "moment", "number", "plural", "probability", "signed", "span", "word")


def render(data: ReportData) -> str:
    """The whole page as HTML; everything that came from data is escaped."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=escape_controls,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update({name: getattr(formats, name) for name in _FILTERS})
    comparison = compared(data.evaluation, data.recipe) if data.evaluation else None
    is_test = data.evaluation is not None and data.evaluation.split.startswith("test")
    suite, training, size = suite_of(data.suite), training_of(data), size_of(data.sizes)
    turns = loop_of(data.turns)
    there = {
        "measured": comparison,
        "where": comparison and comparison.slices,
        "examples": comparison and (comparison.wins or comparison.losses),
        "advice": data.advice,
        "suite": suite,
        "training": training,
        "size": size,
        "loop": turns,
        "shadow": data.shadow,
        "decisions": data.events,
        "lineage": True,
    }
    page = environment.get_template("page.html").render(
        data=data,
        sections={name: title for name, title in SECTIONS.items() if there[name]},
        style=Markup("\n".join(path.read_text(encoding="utf-8") for path in (_FOLDER / "style.css", charts.STYLE))),
        headline=_headline(data),
        comparison=comparison,
        apart=[(each, compared(each, data.recipe)) for each in data.apart],
        num_slices_shown=NUM_SLICES_SHOWN,
        is_test=is_test,
        verdict=_meaning(comparison, data) if comparison and is_test else "",
        advice=data.advice,
        suite=suite,
        training=training,
        merge=merge_of(data.merge),
        size=size,
        loop_view=turns,
        events=[
            (event, _remark(data.events[:place], event)) for place, event in reversed(list(enumerate(data.events)))
        ],
        decisions=DECISIONS,
        notes=data.notes,
        lineage=_lineage(data),
    )
    return page.encode("utf-8", errors="replace").decode("utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The last decision in a sentence, its reasons, and what else there is to say.

    ``is_elsewhere`` says that what is shown was not measured of the model that was decided on.
    """

    decision: str = ""
    title: str = "Nothing is live yet."
    reasons: Sequence[str] = ()
    forced: str | None = None
    at: str | None = None
    is_elsewhere: bool = False


def _headline(data: ReportData) -> Headline:
    if not data.events:
        return Headline()
    last = data.events[-1]
    return Headline(
        decision=DECISIONS[last.action].capitalize(),
        title=_title(last, data.live, _remark(data.events[:-1], last)),
        reasons=last.reasons if last.action == "refuse" or last.forced else (),
        forced=last.forced,
        at=last.at,
        is_elsewhere=last.model_id not in _measured(data),
    )


def _remark(earlier: Sequence[HistoryEvent], event: HistoryEvent) -> str:
    """Why a release went live where no gate was asked: it was live before, or let through before; else nothing."""
    if event.action != "promote" or event.reasons:
        return ""
    was_live = any(each.release_id == event.release_id and each.action in ("promote", "rollback") for each in earlier)
    return "A former release came back." if was_live else "It was let through before."


def _title(last: HistoryEvent, release: Release | None, remark: str) -> str:
    live = release.model_id if release else None
    is_unmeasured = bool(release and release.is_unmeasured and release.release_id == last.release_id)
    match last.action:
        case "refuse":
            return f"{last.model_id} was refused; " + (f"{live} stays live." if live else "nothing is live yet.")
        case "arm":
            return f"{last.model_id} answers some of the users; {live} stays live."
        case "hold":
            return f"{last.model_id} passed the gate; {live or 'nothing'} stays live."
        case "rollback":
            return f"Rolled back: {last.model_id} is live again."
        case _ if last.forced:
            return f"{last.model_id} is live by force: the gate had refused it."
        case _ if is_unmeasured:
            return f"{last.model_id} is live, unmeasured: no query is judged."
        case _ if remark:
            return f"{last.model_id} is live. {remark}"
        case _ if not last.previous_release_id:
            return f"{last.model_id} is live, as the first release."
        case _:
            return f"{last.model_id} is live."


def _measured(data: ReportData) -> list[str | None]:
    return [result.model_id for result in data.evaluation.results] if data.evaluation else []


def _meaning(comparison: ComparisonView, data: ReportData) -> str:
    """What the main difference says, in words."""
    main = comparison.main
    if main is None:
        return ""
    low, high = main.low, main.high
    uses = data.evaluation.ledger.num_test_uses if data.evaluation else None
    proof = formats.probability(main.p_adjusted) + (f", use {formats.count(uses)} of this test set" if uses else "")
    if low == -1 and high == 1:
        return "There are too few queries or groups for an interval, so nothing is proven either way."
    if (low > 0 or high < 0) and main.p_value > data.recipe.gate.alpha:
        return f"The interval leaves zero out, but so few queries differ that chance may: nothing is proven ({proof})."
    if low > data.recipe.gate.min_gain and low > 0:
        return (
            f"The whole interval lies above {formats.signed(data.recipe.gate.min_gain)}: the gain is proven ({proof})."
        )
    if high < 0:
        return f"The whole interval lies below zero: the candidate is worse ({proof})."
    if low <= 0:
        return "The interval holds zero: these queries do not tell the two systems apart."
    return f"The gain is positive, but not proven to exceed {formats.signed(data.recipe.gate.min_gain)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageRow:
    """A model: where it came from, and how it was measured."""

    model_id: str
    encoder_id: str | None
    space_id: str | None
    parent: str | None
    system: str | None
    is_live: bool
    num_passages: int | None
    num_truncated: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageView:
    """The models of the comparison and of live, and what decided the draws."""

    models: Sequence[LineageRow]
    seeds: Mapping[str, int]
    num_resamples: int
    confidence: float


def _lineage(data: ReportData) -> LineageView:
    live_id = data.live.model_id if data.live else None
    measured = {each.model_id: each for each in data.evaluation.results if each.model_id} if data.evaluation else {}
    rows = []
    for model_id in dict.fromkeys([*measured, *([live_id] if live_id else [])]):
        known, result = data.models.get(model_id), measured.get(model_id)
        rows.append(
            LineageRow(
                model_id=model_id,
                encoder_id=known.encoder_id if known else result.encoder_id if result else None,
                space_id=known.space_id if known else result.space_id if result else None,
                parent=known.parent_model_id if known else None,
                system=result.system if result else None,
                is_live=model_id == live_id,
                num_passages=result.num_passages if result else None,
                num_truncated=result.num_truncated if result else None,
            )
        )
    recipe, settings = data.recipe, data.evaluation.settings if data.evaluation else {}
    used = recipe.evaluate.model_copy(update=dict(settings))  # what it was measured with, whatever the recipe says now
    return LineageView(
        models=rows,
        seeds={"split": recipe.split.seed, "training": recipe.train.seed, "resampling": used.seed},
        num_resamples=used.num_resamples,
        confidence=used.confidence,
    )
