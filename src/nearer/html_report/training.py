"""How a model was trained, in sentences and curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from markupsafe import Markup

from nearer.core.recipe import as_toml
from nearer.html_report import charts
from nearer.html_report.data import ReportData
from nearer.html_report.formats import number
from nearer.html_report.mining import Mining, mining_of
from nearer.learn.dev_score import dev_score

JSON = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One pass: what it learned from, and how its loss went."""

    number: int
    num_examples: int
    num_steps: int
    best_step: int
    stopped_early: bool
    first_loss: float | None
    last_loss: float | None
    sparkline: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What a time decided, in sentences; what several trainings came to; their mean and deviation, if of seeds."""

    reasons: Sequence[str]
    trainings: Sequence[tuple[str, float | None, str]]
    mean: float | None
    deviation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A trained model; ``base_value`` and ``kept_value`` are dev's.

    ``points`` are pass, step, dev and training queries (None where they were not measured), by step; ``alarms`` those
    raised first, none of a model that was trained before there were any. ``sources`` are what an epoch drew of each
    source, empty where there was one alone; ``num_more_sources`` were not written down.
    """

    model_id: str
    parent_model_id: str
    created_at: str
    is_live: bool
    duration_s: float | None
    passes: Sequence[Pass]
    mining: Sequence[Mining]
    curve: Markup
    points: Sequence[tuple[int, int, float, float | None]]
    base_value: float | None
    kept_value: float | None
    alarms: Sequence[JSON]
    sources: Sequence[JSON]
    num_more_sources: int
    chosen: Chosen
    recipe: str


def training_of(data: ReportData) -> Training | None:
    """How the measured candidate was trained; else the live model, else the newest trained one."""
    results = (data.evaluation or {}).get("results", [])
    live_id = data.live["model_id"] if data.live else None
    newest = sorted(data.models.values(), key=lambda model: model["created_at"], reverse=True)
    wanted = [results[-1]["model_id"] if results else None, live_id, *(model["model_id"] for model in newest)]
    for model_id in wanted:
        model = data.models.get(model_id) if model_id else None
        if model and model.get("training"):
            return _training(model, is_live=model_id == live_id)
    return None


def _training(model: JSON, *, is_live: bool) -> Training:
    training: JSON = model["training"]
    passes: Sequence[JSON] = training.get("passes", [])
    kept = [each for each in passes if each["pass"] or each["fit"]["best_step"]]  # without a map that was left out
    curves = [
        charts.Curve(
            name=f"pass {each['pass']}" if each["pass"] else "linear map",
            steps=tuple(point["step"] for point in each["fit"]["dev"]),
            values=tuple(float(point["value"]) for point in each["fit"]["dev"]),
            num_steps=each["fit"]["num_steps"],
            kept=each["fit"]["best_step"],
            train=_train_values(each["fit"]["dev"]),
        )
        for each in kept
    ]
    points = [
        (each["pass"], step, value, point.get("train"))
        for each, curve in zip(kept, charts.placed(curves), strict=True)
        for (step, value), point in zip(curve, each["fit"]["dev"], strict=True)
    ]
    data: JSON = training.get("data", {})
    sources: Sequence[JSON] = data.get("sources", []) if data.get("num_sources", 1) > 1 else []
    values = [value for _, _, value, _ in points if isfinite(value)]
    base, kept_dev = (values[0], dev_score(passes)) if values else (None, None)
    label = f"nDCG@10 on dev by training step: base {number(base)}, kept {number(kept_dev)}"
    return Training(
        model_id=model["model_id"],
        parent_model_id=model.get("parent_model_id") or "the base",
        created_at=model["created_at"],
        is_live=is_live,
        duration_s=training.get("duration_s"),
        passes=[_pass(each) for each in passes],
        mining=[mining for each in passes if (mining := mining_of(each))],
        curve=charts.dev_curve(curves, label=label),
        points=points,
        base_value=base,
        kept_value=kept_dev,
        alarms=sorted(training.get("alarms", []), key=lambda alarm: not alarm["raised"]),
        sources=sources,
        num_more_sources=data["num_sources"] - len(sources) if sources else 0,
        chosen=_chosen(training),
        recipe=as_toml(dict(training.get("recipe", {}))),
    )


def _chosen(training: JSON) -> Chosen:
    seeds: JSON = training.get("seeds", {})
    several: Sequence[JSON] = training.get("trials") or seeds.get("trainings", [])
    return Chosen(
        reasons=training.get("budget", {}).get("plan", {}).get("reasons", []),
        trainings=[(_settings(each["settings"]), each["value"], each["fault"]) for each in several],
        mean=seeds.get("mean"),
        deviation=seeds.get("standard_deviation"),
    )


def _settings(settings: JSON) -> str:
    shown = {key: value[0] if isinstance(value, list) else value for key, value in settings.items()}
    return ", ".join(f"{key} {value:.3g}" for key, value in shown.items())


def _train_values(points: Sequence[JSON]) -> tuple[float, ...]:
    """Training queries at every point; empty unless all were measured."""
    values = [point.get("train") for point in points]
    return tuple(float(value) for value in values if value is not None) if None not in values else ()


def _pass(each: JSON) -> Pass:
    fit: JSON = each["fit"]
    losses = [float(loss) for loss in fit["losses"] if isinstance(loss, int | float) and isfinite(loss)]
    first, last = (losses[0], losses[-1]) if losses else (None, None)
    return Pass(
        number=each["pass"],
        num_examples=fit["num_examples"],
        num_steps=fit["num_steps"],
        best_step=fit["best_step"],
        stopped_early=fit["stopped_early"],
        first_loss=first,
        last_loss=last,
        sparkline=charts.sparkline(losses, label=f"training loss from {number(first)} to {number(last)}"),
    )
