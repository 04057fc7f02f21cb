"""The warm start of a training: a linear map that pairs teach in seconds, vectors whose first dimensions say the most.

Arrays: E examples, A distinct anchors, T distinct texts, D dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nearer.core.arrays import Floats32, Floats64
from nearer.core.errors import ModelRefused
from nearer.core.progress import Progress
from nearer.core.records import Query
from nearer.core.results.training import Pass
from nearer.encode.adapted import AdaptedEncoder
from nearer.encode.adapter import Adapter
from nearer.encode.corpus import CachedEncoder, embed_passages, embed_queries
from nearer.encode.encoder import Encoder
from nearer.learn.example_table import ExampleTable
from nearer.learn.examples import Example
from nearer.learn.fit_adapter import AdapterExamples, AdapterSettings, fit_adapter
from nearer.learn.losses import UNLIKE, learns_likeness
from nearer.learn.matrices import LINEAR, ROTATION, append_matrix, has_matrix, why_no_matrix, without_more
from nearer.learn.rotation import pair_rotation
from nearer.measure.significance import compare_all
from nearer.store.workspace import Workspace
from nearer.training.dev_set import DEV_MEASURE, DevSet, DevVectors

_LEAST_SHARE = 0.25
"""What a map must bring of what dev lacks to 1. Our rule, by dev (ADR 15)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WarmStart:
    """What training begins with beside its encoder: pass 0, if any, as a pass is written down.

    ``mapped`` gives the vectors of the encoder from those in the cache, where pass 0 has a linear map that was kept;
    ``is_rotated`` says that they are turned besides.
    """

    mapped: CachedEncoder | None = None
    is_rotated: bool = False
    passes: Sequence[Pass] = ()


def build_warm_start(
    workspace: Workspace,
    encoder: Encoder,
    examples: Sequence[Example],
    dev: DevSet,
    *,
    is_base: bool,
    progress: Progress,
) -> tuple[Encoder, WarmStart]:
    """The encoder that training begins with, its model with matrices put behind it in place.

    The base gets the linear map that ``train.warm_start_epochs`` of the pairs give, if dev proves it much better and it
    was not trained with one before; a model that is trained to vectors that may be cut is rotated onto the axes of its
    pairs, unless it was. Both are learned from the vectors that there are, through the cache; where documents keep
    theirs, there is neither.

    Raises ModelRefused for vectors that are not numbers.
    """
    recipe, model = workspace.recipe.train, encoder.model
    learned = [each for each in examples if each.score is None or each.score >= UNLIKE]
    is_mappable = is_base and not has_matrix(model, LINEAR) and not learns_likeness(recipe.loss, examples)
    maps = bool(recipe.warm_start_epochs) and is_mappable
    turns = bool(recipe.matryoshka_dims) and not has_matrix(model, ROTATION)
    if not (maps or turns) or recipe.sides == "query" or not learned:
        return encoder, WarmStart()
    if reason := why_no_matrix(model):
        progress.say(f"the model's vectors begin as they are: {reason}")
        return encoder, WarmStart()
    pairs, passes = _Pairs.read(workspace, encoder, learned, progress), []
    mapped = None
    if maps:
        measured = DevVectors.of(workspace, encoder, dev, progress)
        before_Q = dev.values_of(measured.query_emb_QD, measured.passage_emb_PD)
        adapter, summary = _fitted(workspace, encoder, pairs, measured, before_Q, progress)
        passes.append(summary)
        if summary.fit.best_step:
            unmapped = Encoder(without_more(model), settings=encoder.settings, batch_size=encoder.batch_size)
            mapped = CachedEncoder(workspace=workspace, encoder=AdaptedEncoder(unmapped, adapter))
            pairs = pairs.mapped(adapter)
            append_matrix(model, LINEAR, adapter.query.weights["matrix"])
    if turns:
        append_matrix(model, ROTATION, pairs.rotation)
        progress.say("vectors are rotated, so that their first dimensions say the most of what pairs have in common")
    started = Encoder(model, settings=encoder.settings, batch_size=encoder.batch_size)
    return started, WarmStart(mapped=mapped, is_rotated=turns, passes=passes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pairs:
    """The examples and the vectors of their texts."""

    table: ExampleTable
    anchor_emb_AD: Floats32
    text_emb_TD: Floats32

    @classmethod
    def read(cls, workspace: Workspace, encoder: Encoder, examples: Sequence[Example], progress: Progress) -> "_Pairs":
        table = ExampleTable.build(examples)
        asked = [Query(query_id=str(row), text=anchor) for row, anchor in enumerate(table.anchors)]
        anchor_emb_AD = embed_queries(workspace, encoder, asked, progress)
        text_emb_TD, _ = embed_passages(workspace, encoder, table.texts, progress)
        if not (np.isfinite(anchor_emb_AD).all() and np.isfinite(text_emb_TD).all()):
            raise ModelRefused(
                "the model gives vectors that are not numbers", hint="train another: nearer train --from"
            )
        return cls(table=table, anchor_emb_AD=anchor_emb_AD, text_emb_TD=text_emb_TD)

    def mapped(self, adapter: Adapter) -> "_Pairs":
        """The same with vectors mapped."""
        anchor_emb_AD = adapter.apply_queries(self.anchor_emb_AD)
        return replace(self, anchor_emb_AD=anchor_emb_AD, text_emb_TD=adapter.apply_documents(self.text_emb_TD))

    @property
    def rotation(self) -> Floats32:
        """What these pairs have in common, axis by axis, shape (D, D)."""
        positive_emb_ED = self.text_emb_TD[[candidates[0] for candidates in self.table.candidates]]
        query_emb_ED = self.anchor_emb_AD[self.table.anchor_E]
        return pair_rotation(query_emb_ED, positive_emb_ED, positive_emb_ED, weight_E=self.table.weight_E)

    @property
    def examples(self) -> AdapterExamples:
        """The pairs, each an example of its own, with its own negatives."""
        negatives = [candidates[1:] for candidates in self.table.candidates]
        negatives_EC = np.full((len(negatives), max(map(len, negatives))), -1, np.int64)
        for row, own in enumerate(negatives):
            negatives_EC[row, : len(own)] = own
        return AdapterExamples(
            query_emb_QD=self.anchor_emb_AD[self.table.anchor_E],
            passage_emb_PD=self.text_emb_TD,
            positives=[[candidates[0]] for candidates in self.table.candidates],
            negatives_QC=negatives_EC,
            masked=[[text for text, grade in known.items() if grade != 0] for known in self.table.known],
        )


def _fitted(
    workspace: Workspace,
    encoder: Encoder,
    pairs: _Pairs,
    dev: DevVectors,
    before_Q: Floats64,
    progress: Progress,
) -> tuple[Adapter, Pass]:
    """The map of both sides that is best on dev, and how it went; its best step is 0 where it is not kept."""
    recipe, num_epochs = workspace.recipe, workspace.recipe.train.warm_start_epochs or 0
    settings = AdapterSettings(
        sides="shared",
        learning_rate=recipe.adapter.learning_rate,
        scale=recipe.train.scale,
        max_epochs=num_epochs,
        patience=num_epochs,
        seed=recipe.train.seed,
    )
    adapter, report = fit_adapter(
        pairs.examples,
        settings=settings,
        space_id=encoder.space_id,
        measure_dev=dev.measure,
        progress=progress,
    )
    [gain] = compare_all(before_Q[:, None], dev.values(adapter)[:, None], metrics=[str(DEV_MEASURE)])
    share = gain.difference / max(1e-9, 1 - before_Q.mean())
    is_kept = gain.low > 0 and share >= _LEAST_SHARE
    kept = report if is_kept else replace(report, best_step=0)
    why_not = f"it brings {share:.0%} of what is lacking" if gain.low > 0 else "not proven better"
    gained = f"{gain.difference:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] on training dev"
    said = "kept" if is_kept else f"not kept: {why_not}"
    progress.say(f"a linear map on the vectors of {report.num_examples} pairs: {gained}, {said}")
    return adapter, Pass(number=0, fit=kept, mining=None, gain=gain)
