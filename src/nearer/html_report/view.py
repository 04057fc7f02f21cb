"""The page: what was gathered, put into words and charts, and set in the template."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nearer.core.escape import escape_controls
from nearer.html_report import formats
from nearer.html_report.comparison import NUM_SLICES_SHOWN, ComparisonView, compared
from nearer.html_report.data import DECISIONS, ReportData
from nearer.html_report.merge import merge_of
from nearer.html_report.size import size_of
from nearer.html_report.suite import suite_of
from nearer.html_report.training import training_of

JSON = Mapping[str, Any]

_FOLDER = Path(__file__).parent
_FILTERS = ("count", "moment", "number", "plural", "probability", "signed", "span")


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
    is_test = str((data.evaluation or {}).get("split", "")).startswith("test")
    page = environment.get_template("page.html").render(
        data=data,
        style=Markup((_FOLDER / "style.css").read_text(encoding="utf-8")),
        headline=_headline(data),
        comparison=comparison,
        apart=[(each, compared(each, data.recipe)) for each in data.apart],
        num_slices_shown=NUM_SLICES_SHOWN,
        is_test=is_test,
        verdict=_meaning(comparison, data) if comparison and is_test else "",
        advice=data.advice,
        suite=suite_of(data.suite),
        training=training_of(data),
        merge=merge_of(data.merge),
        size=size_of(data.sizes),
        events=[_event(event) for event in reversed(data.events)],
        notes=_notes(data),
        lineage=_lineage(data),
    )
    return page.encode("utf-8", errors="replace").decode("utf-8")


def _headline(data: ReportData) -> dict[str, Any]:
    """The last decision in a sentence, its reasons, and what else there is to say."""
    decisions = [event for event in data.events if event["action"] in DECISIONS]
    if not decisions:
        title = "Nothing is live yet."
        return {"decision": "", "title": title, "reasons": [], "forced": None, "at": None, "is_elsewhere": False}
    last = decisions[-1]
    detail, model = last["detail"], last.get("model_id") or "a model"
    live = data.live["model_id"] if data.live else None
    forced = detail.get("forced") if last["action"] == "promote" else None
    match last["action"]:
        case "refuse":
            title = f"{model} was refused; " + (f"{live} stays live." if live else "nothing is live yet.")
        case "rollback":
            title = f"Rolled back: {model} is live again."
        case _ if forced:
            title = f"{model} is live by force: the gate had refused it."
        case _ if not _was_judged(last):
            title = f"{model} is live again: a former release came back."
        case _ if not last.get("previous_release_id"):
            title = f"{model} is live, as the first release."
        case _:
            title = f"{model} is live."
    return {
        "decision": {"promote": "Promoted", "refuse": "Refused", "rollback": "Rolled back"}[last["action"]],
        "title": title,
        "reasons": list(detail.get("reasons", [])) if last["action"] == "refuse" or forced else [],
        "forced": forced,
        "at": last["at"],
        "is_elsewhere": last.get("model_id") not in _measured(data),
    }


def _measured(data: ReportData) -> list[str]:
    return [result["model_id"] for result in (data.evaluation or {}).get("results", [])]


def _meaning(comparison: ComparisonView, data: ReportData) -> str:
    """What the main difference says, in words."""
    main = comparison.main
    if main is None:
        return ""
    low, high = main["low"], main["high"]
    if low == -1 and high == 1:
        return "There are too few queries or groups for an interval, so nothing is proven either way."
    if low > data.recipe.gate.min_gain and low > 0:
        return f"The whole interval lies above {formats.signed(data.recipe.gate.min_gain)}: the gain is proven."
    if high < 0:
        return "The whole interval lies below zero: the candidate is worse."
    if low <= 0:
        return "The interval holds zero: these queries do not tell the two systems apart."
    return f"The gain is positive, but not proven to exceed {formats.signed(data.recipe.gate.min_gain)}."


def _event(event: JSON) -> dict[str, Any]:
    """A line of the history; a promotion without reasons met the gate, one without a gate brought a release back."""
    detail, action = event["detail"], event["action"]
    remark = ""
    if action == "promote" and not detail.get("reasons"):
        remark = "Every demand of the gate was met." if _was_judged(event) else "A former release came back."
    return {
        "at": event["at"],
        "action": {"promote": "promoted", "refuse": "refused", "rollback": "rolled back"}.get(action, action),
        "remark": remark,
        "release_id": event.get("release_id"),
        "model_id": event.get("model_id"),
        "reasons": list(detail.get("reasons", [])),
        "forced": detail.get("forced"),
    }


def _was_judged(event: JSON) -> bool:
    return "reasons" in event["detail"]


def _notes(data: ReportData) -> list[str]:
    """What the gate could not settle: of the last decision, else of the live release."""
    decisions = [event for event in data.events if event["action"] in DECISIONS]
    last = decisions[-1] if decisions else None
    if last and last["action"] == "refuse":
        return list(last["detail"].get("notes", []))
    return list((data.live or {}).get("evidence", {}).get("notes", []))


def _lineage(data: ReportData) -> dict[str, Any]:
    results: Sequence[JSON] = (data.evaluation or {}).get("results", [])
    live_id = data.live["model_id"] if data.live else None
    wanted = dict.fromkeys(
        [*(each["model_id"] for each in results if each["model_id"]), *([live_id] if live_id else [])]
    )
    measured = {result["model_id"]: result for result in results}
    rows = []
    for model_id in wanted:
        known, result = data.models.get(model_id, {}), measured.get(model_id, {})
        rows.append(
            {
                "model_id": model_id,
                "encoder_id": known.get("encoder_id") or result.get("encoder_id"),
                "space_id": known.get("space_id") or result.get("space_id"),
                "parent": known.get("parent_model_id"),
                "system": result.get("system"),
                "is_live": model_id == live_id,
                "num_passages": result.get("num_passages"),
                "num_truncated": result.get("num_truncated"),
            }
        )
    recipe, settings = data.recipe, (data.evaluation or {}).get("settings", {})
    used = recipe.evaluate.model_copy(update=settings)  # what it was measured with, whatever the recipe says by now
    return {
        "models": rows,
        "seeds": {"split": recipe.split.seed, "training": recipe.train.seed, "resampling": used.seed},
        "num_resamples": used.num_resamples,
        "confidence": used.confidence,
    }
