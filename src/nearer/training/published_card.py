"""The model card of an exported model: what it was made from, what was measured, on which data, and its limits.

Source: Mitchell et al., Model Cards for Model Reporting (arXiv 1810.03993), section 4; the Hugging Face Hub's
documentation of model cards for the metadata.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nearer.core.ids import content_id
from nearer.core.results.measuring import ComparedSystems, Evaluation, SystemValues
from nearer.core.results.training import TrainingRecord
from nearer.encode.base_model import DEFAULT_MODEL
from nearer.encode.encoder import TextEncoder
from nearer.store.registered import Model
from nearer.store.workspace import Workspace
from nearer.systems.names import LIVE, parse_name
from nearer.training.model_card import CARD

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

CONFIDENCE = 0.95
_DEFAULT_ON_THE_HUB, _DEFAULT_LICENSE = f"sentence-transformers/{DEFAULT_MODEL}", "apache-2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the newest evaluation on a split says of a model, and of it beside the first system there."""

    at: str
    evaluation: Evaluation
    values: SystemValues
    comparison: ComparedSystems | None


def measured_on(workspace: Workspace, model_id: str) -> list[Measured]:
    """The newest evaluation of a model alone on each split; one of a system with stages says nothing of the model."""
    found: dict[str, Measured] = {}
    for entry in workspace.results.evaluations():
        if model_id in entry.model_ids:
            kept = workspace.results.entry(entry.result_id, Evaluation)
            own = [each for each in kept.result.results if each.model_id == model_id and _is_alone(each.system)]
            if own:
                compared = [each for each in kept.result.comparisons if each.candidate == own[0].system]
                found[entry.split] = Measured(
                    at=kept.at,
                    evaluation=kept.result,
                    values=own[0],
                    comparison=compared[0] if compared else None,
                )
    return [found[split] for split in sorted(found)]


def write_published_card(
    workspace: Workspace, folder: Path, model: Model, encoder: TextEncoder, *, is_routed: bool
) -> list[Measured]:
    """Write README.md into an exported model's folder; what was measured, which it names.

    Raises OSError.
    """
    from huggingface_hub import ModelCard, ModelCardData

    chain = _chain(workspace, model)
    measured = measured_on(workspace, model.model_id)
    base, license_name = _base(chain[-1])
    data = ModelCardData(
        base_model=base,
        license=license_name,
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        tags=["sentence-transformers", "feature-extraction", "nearer"],
        model_name=model.model_id,
        eval_results=[result for each in measured for result in _eval_results(workspace, each)],
    )
    known = {each.model_id: record for each in chain if (record := workspace.registry.training_of(each.model_id))}
    trainings = list(known.values())
    parts = [
        f"# {model.model_id}",
        _made_from(chain, [model_id for model_id, record in known.items() if record.distilled]),
        _usage(encoder, is_routed=is_routed),
        "## Measured\n\n" + (_table(measured) or "Nothing was measured of it yet: `nearer evaluate` measures."),
        "## Data\n\n" + _data(workspace, trainings),
        "## Limits\n\n" + _limits(workspace, encoder, measured, trainings),
        "## Identity\n\n" + _identity(encoder),
    ]
    text = "\n\n".join(parts)
    folder.joinpath(CARD).write_text(str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}\n")), encoding="utf-8")
    return measured


def _is_alone(system: str) -> bool:
    name, stages = parse_name(system)
    return not stages and name != LIVE  # what live means has stages of its own


def _chain(workspace: Workspace, model: Model) -> list[Model]:
    """The model, its parent, and so on to the one that was not made here."""
    chain = [model]
    while parent_id := chain[-1].parent_model_id:
        chain.append(workspace.registry.model(parent_id))
    return chain


def _base(model: Model) -> tuple[str | None, str | None]:
    """The Hub name and the license of the model that all began with, where they are known."""
    from huggingface_hub import ModelCard

    if model.source == DEFAULT_MODEL:
        return _DEFAULT_ON_THE_HUB, _DEFAULT_LICENSE
    if not os.path.isabs(model.source):
        return model.source, None
    try:
        declared = ModelCard.load(Path(model.source) / CARD, ignore_metadata_errors=True).data.license
    except (OSError, ValueError):
        return None, None
    return None, declared if isinstance(declared, str) else None


def _name(model: Model) -> str:
    """What to call a model in public: never the path of a folder."""
    if model.parent_model_id:
        return model.model_id
    return _base(model)[0] or Path(model.source).name


def _made_from(chain: Sequence[Model], distilled: Collection[str]) -> str:
    kinds = {"adapter": "its vectors mapped", "queries": "trained for queries alone", "compressed": "fewer dimensions"}

    def how(model: Model) -> str:
        otherwise = "distilled" if model.model_id in distilled else "trained"
        return next((what for kind, what in kinds.items() if kind in model.encoder), otherwise)

    steps = [f"{_name(each)} ({how(each)})" if each.parent_model_id else _name(each) for each in reversed(chain)]
    return f"An embedding model for search, exported from Nearer. How it was made: {' → '.join(steps)}."


def _usage(encoder: TextEncoder, *, is_routed: bool) -> str:
    prompts = {"Queries": encoder.settings.query_prompt, "Documents": encoder.settings.document_prompt}
    notes = [f"{side} begin with `{prompt}`, which is put before them." for side, prompt in prompts.items() if prompt]
    if is_routed:
        notes.append("Queries and documents take different ways through it: `encode` alone is refused.")
    code = (
        "```python\nfrom sentence_transformers import SentenceTransformer\n\n"
        'model = SentenceTransformer("path/to/this/folder")\nquery = model.encode_query("a question")\n'
        'documents = model.encode_document(["a passage", "another"])\n```'
    )
    return "\n\n".join([code, "Vectors have length 1; compare them by their cosine.", *notes])


def _eval_results(workspace: Workspace, measured: Measured) -> "list[EvalResult]":
    from huggingface_hub import EvalResult

    evaluation = measured.evaluation
    return [
        EvalResult(
            task_type="information-retrieval",
            task_name="Information Retrieval",
            dataset_type=workspace.recipe.name,
            dataset_name=workspace.recipe.name,
            dataset_split=evaluation.split,
            metric_type=_metric_type(name),
            metric_name=name,
            metric_value=round(interval.value, 6),
            metric_args={
                "confidence": CONFIDENCE,
                "low": round(interval.low, 6),
                "high": round(interval.high, 6),
                "num_queries": evaluation.num_queries,
                "measured_at": measured.at,
            },
        )
        for name, interval in measured.values.metrics.items()
    ]


def _metric_type(name: str) -> str:
    """What the Hub's evaluations call a measure, such as ndcg_at_10."""
    return name.lower().replace("@", "_at_")


def _table(measured: Sequence[Measured]) -> str:
    lines = ["| split | measure | value | 95% interval | queries | measured |", "| --- | --- | --- | --- | --- | --- |"]
    for each in measured:
        lines += [
            f"| {each.evaluation.split} | {name} | {interval.value:.3f} | {interval.low:.3f} to {interval.high:.3f} "
            f"| {each.evaluation.num_queries} | {each.at[:10]} |"
            for name, interval in each.values.metrics.items()
        ]
    sentences = [
        f"{difference.metric} on {each.evaluation.split}: {difference.difference:+.3f} "
        f"[{difference.low:+.3f}, {difference.high:+.3f}] beside {difference.baseline}, "
        f"p = {difference.p_adjusted:.2g} (Holm)."
        for each in measured
        if (difference := each.comparison)
    ]
    return "\n\n".join(["\n".join(lines), *sentences]) if measured else ""


def _data(workspace: Workspace, trainings: Sequence[TrainingRecord]) -> str:
    hashes = workspace.collection.document_hashes()
    corpus_id = content_id("corpus", sorted(hashes.items()), num_hex=32)
    lines = [f"- Documents of the workspace when it was exported: {len(hashes):,}, `{corpus_id}`."]
    for record in trainings:
        if record.data:
            sources = ", ".join(f"{each.source or 'unnamed'}: {each.num_pairs}" for each in record.data.sources)
            lines.append(
                f"- Trained on {record.data.num_pairs:,} pairs, `{record.data.pairs_id}`"
                + (f" ({sources})" if sources else "")
                + f"; seed {record.recipe['train']['seed']}."
            )
    return "\n".join(lines)


def _limits(
    workspace: Workspace, encoder: TextEncoder, measured: Sequence[Measured], trainings: Sequence[TrainingRecord]
) -> str:
    lines = [
        f"Of a text it reads the first {encoder.settings.max_seq_length} tokens.",
        f"It was made for the queries and documents of one collection, {workspace.recipe.name}; elsewhere it is not "
        "measured.",
    ]
    if any(record.passes for record in trainings):
        lines.append("Dev queries chose among its checkpoints: what dev says of it flatters. A test split does not.")
    for each in measured:
        if times := each.evaluation.ledger.num_test_uses:
            often = "once" if times == 1 else f"{times} times, each a chance to choose by it"
            lines.append(f"The split {each.evaluation.split} was used {often}.")
    lines += [f"An alarm of its training: {alarm.sentence}" for record in trainings for alarm in record.raised]
    return "\n".join(f"- {line}" for line in lines)


def _identity(encoder: TextEncoder) -> str:
    return (
        f"- Vectors of {encoder.dimension} dimensions. Encoder `{encoder.encoder_id}`.\n"
        f"- Its queries may meet document vectors of the space `{encoder.space_id}`, and of no other."
    )
