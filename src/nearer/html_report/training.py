"""How a model was trained, in sentences and curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from markupsafe import Markup

from nearer.core.recipe import as_toml
from nearer.core.results.training import Alarm, DevPoint, Pass, SourceDraw, TrainingRecord
from nearer.core.results.training_plan import Settings
from nearer.html_report import charts
from nearer.html_report.data import ReportData
from nearer.html_report.formats import number
from nearer.html_report.mining import Mining, mining_of
from nearer.store.registered import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class PassView:
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
class ChosenView:
    """What a time decided, in sentences; what several trainings came to; their mean and deviation, if of seeds."""

    reasons: Sequence[str]
    trainings: Sequence[tuple[str, float | None, str]]
    mean: float | None
    deviation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingView:
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
    passes: Sequence[PassView]
    mining: Sequence[Mining]
    curve: Markup
    points: Sequence[tuple[int, int, float, float | None]]
    base_value: float | None
    kept_value: float | None
    alarms: Sequence[Alarm]
    sources: Sequence[SourceDraw]
    num_more_sources: int
    chosen: ChosenView
    recipe: str


def training_of(data: ReportData) -> TrainingView | None:
    """How the model that the page shows was trained."""
    if data.trained is None:
        return None
    model, training = data.trained
    return _training(model, training, is_live=data.live is not None and data.live.model_id == model.model_id)


def _training(model: Model, training: TrainingRecord, *, is_live: bool) -> TrainingView:
    passes = training.passes
    kept = [each for each in passes if each.number or each.fit.best_step]  # without a map that was not kept
    curves = [_curve(each) for each in kept]
    points = [
        (each.number, step, value, point.train)
        for each, curve in zip(kept, charts.placed(curves), strict=True)
        for (step, value), point in zip(curve, each.fit.dev, strict=True)
    ]
    data = training.data
    sources = data.sources if data and data.num_sources > 1 else ()
    values = [value for _, _, value, _ in points if isfinite(value)]
    base, kept_dev = (values[0], passes[-1].fit.kept.value) if values else (None, None)
    label = f"nDCG@10 on training dev by step: base {number(base)}, kept {number(kept_dev)}"
    return TrainingView(
        model_id=model.model_id,
        parent_model_id=model.parent_model_id or "the base",
        created_at=model.created_at,
        is_live=is_live,
        duration_s=training.duration_s,
        passes=[_pass(each) for each in passes],
        mining=[mining for each in passes if (mining := mining_of(each))],
        curve=charts.dev_curve(curves, label=label),
        points=points,
        base_value=base,
        kept_value=kept_dev,
        alarms=sorted(training.alarms, key=lambda alarm: not alarm.raised),
        sources=sources,
        num_more_sources=data.num_sources - len(sources) if data and sources else 0,
        chosen=_chosen(training),
        recipe=as_toml(dict(training.recipe)),
    )


def _curve(each: Pass) -> charts.Curve:
    return charts.Curve(
        name=f"pass {each.number}" if each.number else "linear map",
        steps=tuple(point.step for point in each.fit.dev),
        values=tuple(point.value for point in each.fit.dev),
        num_steps=each.fit.num_steps,
        kept=each.fit.best_step,
        train=_train_values(each.fit.dev),
    )


def _chosen(training: TrainingRecord) -> ChosenView:
    seeds = training.seeds
    several = training.trials or (seeds.trainings if seeds else ())
    return ChosenView(
        reasons=training.budget.plan.reasons if training.budget else (),
        trainings=[(_settings(each.settings), each.value, each.fault) for each in several],
        mean=seeds.mean if seeds else None,
        deviation=seeds.standard_deviation if seeds else None,
    )


def _settings(settings: Settings) -> str:
    shown = {key: value[0] if isinstance(value, tuple) else value for key, value in settings.items()}
    return ", ".join(f"{key} {value:.3g}" for key, value in shown.items() if isinstance(value, int | float))


def _train_values(points: Sequence[DevPoint]) -> tuple[float, ...]:
    """Training queries at every point; empty unless all were measured."""
    values = [point.train for point in points]
    return tuple(value for value in values if value is not None) if None not in values else ()


def _pass(each: Pass) -> PassView:
    fit = each.fit
    losses = [loss for loss in fit.losses if isfinite(loss)]
    first, last = (losses[0], losses[-1]) if losses else (None, None)
    return PassView(
        number=each.number,
        num_examples=fit.num_examples,
        num_steps=fit.num_steps,
        best_step=fit.best_step,
        stopped_early=fit.stopped_early,
        first_loss=first,
        last_loss=last,
        sparkline=charts.sparkline(losses, label=f"training loss from {number(first)} to {number(last)}"),
    )
