"""Train a candidate: pass 1 on positives and in-batch negatives, later passes on negatives the last model mined.

Arrays: P passages, D dimensions.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from nearer.core.errors import RecipeError
from nearer.core.ids import canonical_json, content_id
from nearer.core.progress import Progress, Silent
from nearer.core.steps import reached
from nearer.encode.encoder import Encoder, model_id_of
from nearer.encode.paired import paired_id
from nearer.flows.embedding import embed_corpus, read_corpus
from nearer.flows.splits import ensure_splits
from nearer.flows.systems import BASE, LocalSystem, open_local
from nearer.flows.training.alarms import alarms_of, familiar, gains_of, is_comparable
from nearer.flows.training.choice import NOTHING_MORE, Asked, choose_course, deadline_of
from nearer.flows.training.course import Course, Diverged
from nearer.flows.training.dev_set import DEV_MEASURE, build_dev_set
from nearer.flows.training.examples import find_left_out, read_examples
from nearer.flows.training.guiding import guide_of
from nearer.flows.training.mining import mine_negatives, open_judge
from nearer.flows.training.models import keep_model
from nearer.flows.training.outcome import kept_value, last_value
from nearer.flows.training.query_side import learner
from nearer.flows.training.run import TrainingRun, what_decides
from nearer.flows.training.teaching import teach
from nearer.flows.training.watch import build_watch
from nearer.learn.examples import Example
from nearer.learn.fit import FitReport, fit
from nearer.learn.lint import lint
from nearer.learn.lora import most_rank
from nearer.learn.lower_layers import layers_of
from nearer.learn.margins import NO_MARGIN
from nearer.learn.negatives import MiningReport
from nearer.learn.order import Source, sources_of
from nearer.learn.precision import precisions_of
from nearer.measure.alarms import raised_in
from nearer.store.registry import Model, Registry
from nearer.store.workspace import Workspace


def train(
    workspace: Workspace,
    start: str = BASE,
    *,
    asked: Asked = NOTHING_MORE,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Train ``start`` further and register the weights that stand; ``start`` itself when dev saw nothing better.

    The base begins with a pass on in-batch negatives; a model that was trained before goes on with mined ones, so
    that two calls of one pass give what one call of two gives. Training queries and pairs that leak into dev or
    test are left out and counted. A run that was cut short goes on from what it kept. ``asked`` fits the training
    into a time, or has several trained from the same start, of which dev chooses: one, or a mean of several seeds.

    Raises RecipeError for settings or data that cannot work, InputError for what cannot be asked, WorkspaceError when
    the disk refuses.
    """
    asked.refuse_nonsense()
    progress = progress or Silent()
    began = clock()
    ensure_splits(workspace)
    left_out = find_left_out(workspace)
    with workspace.writer("train"):
        base = open_local(workspace, BASE)
        parent = base if start == BASE else open_local(workspace, start)
        corpus = read_corpus(workspace, base.encoder)
        passage_emb_PD, _ = embed_corpus(workspace, base.encoder, corpus, progress)
        dev = build_dev_set(
            workspace, base.encoder, corpus, passage_emb_PD, left_out=left_out.query_ids, progress=progress
        )
        examples = read_examples(workspace, base.encoder, corpus, passage_emb_PD, left_out=left_out, progress=progress)
        refuse_hopeless(workspace, parent.encoder, num_examples=len(examples), num_dev_queries=len(dev.queries))
        watch = build_watch(
            workspace, base.encoder, corpus, passage_emb_PD, dev=dev, examples=examples, progress=progress
        )
        open_judge(workspace)  # refused now, and not after a pass
        decides = what_decides(workspace, base=base, start=parent, examples=examples, watch=watch, corpus=corpus)
        run = TrainingRun.open(workspace.training, {**decides, **asdict(asked)}, say=progress.say)
        is_base = parent.model.model_id == base.model.model_id
        course = Course(
            workspace=workspace,
            run=run,
            encoder=learner(workspace, parent.encoder, examples, corpus.passages, *watch.passages, progress=progress),
            corpus=corpus,
            examples=examples,
            watch=watch,
            first=1 if is_base else 2,
            deadline=deadline_of(run, asked.budget_s, began=began, clock=clock),
            guide=guide_of(workspace, start=parent.model.model_id, progress=progress),
            progress=progress,
        )
        if len(sources := sources_of(examples, workspace.recipe.train.source_weights)) > 1:
            progress.say(_told_sources(sources))
        course, chosen = choose_course(course, asked, run_passes=_run_passes, clock=clock)
        passes, alarms = _run_watched(course)
        drawn = _drawn(sources_of(course.examples, workspace.recipe.train.source_weights))
        training = {
            "recipe": course.workspace.recipe.model_dump(mode="json"),
            "data": {
                "num_pairs": len(course.examples),
                "pairs_id": content_id("pairs", [(e.anchor, e.positive) for e in course.examples]),
                **drawn,
            },
            "passes": passes,
            "alarms": alarms,
            **chosen,
            "duration_s": None if run.is_resumed else round(clock() - began, 1),
        }
        improved = course.averaged is not None or any(each["fit"]["best_step"] for each in passes)
        model = _register(workspace, parent, training=training) if improved else parent.model
        raised = [alarm["name"] for alarm in raised_in(training)]
        _record(workspace, run, detail={"model_id": model.model_id, "improved": improved, "alarms": raised})
        run.remove()
    return {
        "model_id": model.model_id,
        "encoder_id": model.encoder_id,
        "space_id": model.space_id,
        "improved": improved,
        "passes": passes,
        "alarms": alarms,
        **chosen,
        "dev": {
            "metric": str(DEV_MEASURE),
            "num_queries": len(dev.queries),
            "num_documents": len(dev.starts_N),
            "start": passes[0]["fit"]["dev"][0]["value"],
            "best": kept_value({"passes": passes, **chosen}),
        },
        "num_pairs": len(course.examples),
        "dimensions": list(workspace.recipe.train.dimensions),
        **drawn,
        "num_left_out": {"queries": len(left_out.query_ids), "pairs": len(left_out.pairs)},
        "duration_s": round(clock() - began, 1),
    }


def _run_watched(course: Course) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The passes, what training began with among them, and the alarms of what was measured before, within and after.

    Dev's gain is looked at query by query only where enough queries are familiar: it takes two more measurements, or
    one where the first is known from the beginning.
    """
    recipe, encoder, watch, examples = course.workspace.recipe, course.encoder, course.watch, course.examples
    texts = [query.text for query in watch.dev.queries]
    familiar_Q = familiar(texts, examples, resemblance=recipe.alarms.familiar_from)
    before_Q = None
    if is_comparable(familiar_Q):
        before_Q = watch.dev_values(encoder) if course.begun.before_Q is None else course.begun.before_Q
    passes = _run_passes(course)
    if course.averaged is not None:
        encoder.model.load_state_dict(course.averaged)
    gains = None if before_Q is None else gains_of(before_Q, watch.dev_values(encoder), familiar_Q, recipe=recipe)
    alarms = alarms_of(passes, examples, watch, gains=gains, dimension=encoder.dimension, recipe=recipe.alarms)
    return [*course.begun.passes, *passes], alarms


def _run_passes(course: Course) -> list[dict[str, Any]]:
    """Train the model in place; every pass but number 1 mines anew before it, where its loss has use for that.

    What a run has kept stays done. No pass but the first is begun when the time is over.
    """
    recipe, encoder, run = course.workspace.recipe.train, course.encoder, course.run
    passes: list[dict[str, Any]] = []
    earlier: list[list[Example]] = []
    for number in course.passes:
        if passes and course.deadline.is_over() and not run.is_done(number):
            course.progress.say(f"the time is over before pass {number}")
            break
        mined, mining = list(course.examples), None
        if course.mines_before(number):
            mined, mining = _mined(course, earlier, number=number)
            earlier.append(mined[: len(course.examples)])  # what a teacher adds comes after them
        kept = run.result(number, encoder.model)
        if kept is None:
            report = fit(
                encoder.model,
                mined,
                recipe=recipe.model_copy(update={"seed": recipe.seed + number}),
                sides=course.sides,
                measure=course.deadline.timed(lambda step: course.watch.point(encoder, step)),
                checkpoints=run.checkpoints(number),
                progress=course.progress,
                is_over=course.deadline.is_over,
            )
            kept = _describe(number, report, mining)
            _refuse_diverged(course, [*course.begun.passes, *passes, kept])
            run.keep_result(number, encoder.model, kept)
        passes.append(kept)
        course.progress.say(_told(kept))
    return passes


def _refuse_diverged(course: Course, passes: Sequence[dict[str, Any]]) -> None:
    """Raise Diverged, and forget the run, when a pass broke down before any pass found something better."""
    fault = passes[-1]["fit"]["fault"]
    if fault and not any(each["fit"]["best_step"] for each in passes):
        course.run.remove()
        raise Diverged(
            f"training broke down in pass {passes[-1]['pass']}, before dev saw anything better: {fault}",
            hint=f"lower train.learning_rate (it is {course.workspace.recipe.train.learning_rate:g}), then train again",
        )


def _mined(course: Course, earlier: Sequence[Sequence[Example]], *, number: int) -> tuple[list[Example], MiningReport]:
    """What the run kept of mining for this pass, else mined now and kept."""
    kept = course.run.mined(number)
    if kept is None:
        workspace, corpus, examples, progress = course.workspace, course.corpus, course.examples, course.progress
        kept = mine_negatives(workspace, course.miner(number), corpus, examples, earlier=earlier, progress=progress)
        kept = teach(workspace, corpus, examples, *kept, progress=progress)
        course.run.keep_mined(number, *kept)
    return kept


def _register(workspace: Workspace, parent: LocalSystem, *, training: dict[str, Any]) -> Model:
    """Save the trained encoder under its id, then enter it.

    Trained for queries alone it is a pair with the parent, whose space it searches.
    """
    encoder = Encoder(parent.encoder.model, settings=parent.encoder.settings, batch_size=parent.encoder.batch_size)
    encoder_id, settings = encoder.encoder_id, asdict(encoder.settings)
    if workspace.recipe.train.sides == "query":
        encoder_id = paired_id(encoder_id, parent.model.encoder_id)
        settings = {"queries": settings, "space_id": parent.model.space_id}
    source = keep_model(workspace, encoder_id, encoder.save)
    reached("train.model")
    record = Model(
        model_id=model_id_of(encoder_id),
        encoder_id=encoder_id,
        source=source,
        encoder=settings,
        parent_model_id=parent.model.model_id,
        training=training,
    )
    return Registry(workspace.database).add_model(record)


def _record(workspace: Workspace, run: TrainingRun, *, detail: dict[str, Any]) -> None:
    """Write the run into the history, once however often it was cut short."""
    registry = Registry(workspace.database)
    if not any(event.detail.get("started_at") == run.started_at for event in registry.history()):
        registry.record("train", detail={**detail, "started_at": run.started_at})
    reached("train.registered")


def refuse_hopeless(workspace: Workspace, encoder: Encoder, *, num_examples: int, num_dev_queries: int) -> None:
    """Raise RecipeError, with every reason, when training with these settings and so much data cannot work."""
    faults = lint(
        workspace.recipe,
        num_examples=num_examples,
        num_dev_queries=num_dev_queries,
        precisions=precisions_of(encoder.model.device),
        max_seq_length=encoder.settings.max_seq_length,
        dimension=encoder.dimension,
        prompts=(encoder.settings.query_prompt, encoder.settings.document_prompt),
        most_rank=_most_rank(encoder) if workspace.recipe.train.lora_rank else 0,
    )
    if faults:
        raise RecipeError("; ".join(faults), hint="correct nearer.toml, or for one run: --set KEY=VALUE")


def _most_rank(encoder: Encoder) -> int:
    transformer = encoder.model.transformers_model
    return most_rank(layers_of(transformer)) if transformer is not None else 0


def _describe(number: int, report: FitReport, mining: MiningReport | None) -> dict[str, Any]:
    """How a pass went, as it is written down."""
    content = {"pass": number, "fit": asdict(report), "mining": asdict(mining) if mining else None}
    return dict(json.loads(canonical_json(content)))


_NUM_RECORDED, _NUM_TOLD = 50, 8
"""Sources that are written down, and told: a field may have a value for every query."""


def _drawn(sources: Sequence[Source]) -> dict[str, Any]:
    """What an epoch draws of each source, most first, as it is written down."""
    largest = sorted(sources, key=lambda source: -source.num_drawn)[:_NUM_RECORDED]
    return {"num_sources": len(sources), "sources": [source.described for source in largest]}


def _told_sources(sources: Sequence[Source]) -> str:
    """The same for people."""
    largest = sorted(sources, key=lambda source: -source.num_drawn)[:_NUM_TOLD]
    told = [f"{each.num_drawn} of {each.name} ({len(each.rows_S)} pairs x {each.weight:g})" for each in largest]
    more = [f"and {len(sources) - len(told)} more sources"] if len(sources) > len(told) else []
    return f"an epoch draws {', '.join([*told, *more])}"


def _told(kept: dict[str, Any]) -> str:
    """How a pass went, for people: what dev saw, then the loss and the negatives in lines of their own."""
    report, mining = kept["fit"], kept["mining"]
    values = [point["value"] for point in report["dev"]]
    lines = [f"pass {kept['pass']}: {DEV_MEASURE} on dev {values[0]:.3f} -> {last_value([kept]):.3f}"]
    lines[0] += f" (step {report['best_step']} of {report['num_steps']})"
    if report["fault"]:
        lines[0] += f"; ended there, for {report['fault']}"
    if report["out_of_time"]:
        lines[0] += f"; the time was over after step {report['num_steps']}"
    lines.append(f"loss {report['loss']} ({report['why']}), {report['num_negatives']:.0f} negatives a query")
    if report["share_left_out"] is not None:
        lines[-1] += f", {report['share_left_out']:.1%} left out by the guide"
    if mining:
        kind, margin = mining["margin_kind"], mining["margin"]
        text = "no margin" if margin <= NO_MARGIN else f"{kind} margin {margin:g}"
        lines.append(f"mined: {text}, {mining['share_with_enough']:.0%} of pairs have enough")
        for each in mining["false_negatives"]:
            share = f"{each['value']:.1%} [{each['low']:.1%}, {each['high']:.1%}]"
            lines.append(f"false negatives by {each['method']}: {share}")
        if mining["is_left_out"]:
            lines.append("so none of them is learned from")
    return "\n  ".join(lines)
