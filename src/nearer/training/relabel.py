"""The teacher of a training: a cross-encoder that looks at what was mined before it is learned from."""

from collections.abc import Sequence
from dataclasses import replace

from nearer.core.progress import Progress
from nearer.core.results.training import MiningReport
from nearer.encode.corpus import Corpus
from nearer.learn.examples import Example, text_key
from nearer.learn.teacher import RelabelSettings
from nearer.learn.teacher import teach as taught_by
from nearer.store.collection import LEAKED
from nearer.store.workspace import Workspace
from nearer.systems.reranker import open_reranker, scored
from nearer.training.dev_set import texts_of


def teacher_id(workspace: Workspace) -> str:
    """The id of the cross-encoder that the recipe names as a teacher; "none" without one."""
    name = workspace.recipe.mining.reranker
    return open_reranker(workspace, name).cross_encoder_id if name else "none"


def teach(
    workspace: Workspace,
    corpus: Corpus,
    examples: Sequence[Example],
    mined: Sequence[Example],
    mining: MiningReport,
    *,
    progress: Progress,
) -> tuple[list[Example], MiningReport]:
    """What was mined for ``examples``, relabelled and scored by the recipe's teacher; as it is when there is none.

    Raises NotFound or ModelRefused when the teacher cannot be had.
    """
    recipe = workspace.recipe
    if recipe.mining.reranker is None:
        return list(mined), mining
    teacher = open_reranker(workspace, recipe.mining.reranker)
    taught = taught_by(
        examples,
        mined,
        score=lambda pairs: scored(teacher, pairs, label="ask the teacher", progress=progress),
        settings=RelabelSettings(
            masked_from=recipe.mining.masked_from,
            positive_from=recipe.mining.positive_from,
            num_negatives=recipe.mining.num_negatives,
            most_positives=recipe.train.max_positives,
            seed=recipe.train.seed,
        ),
        texts=corpus.passages if recipe.train.is_distilled else (),
        never_positive=_answers_elsewhere(workspace, corpus),
    )
    summary = replace(mining, num_masked_by_teacher=taught.num_masked, num_added_by_teacher=taught.num_added)
    return list(taught.examples), summary


def _answers_elsewhere(workspace: Workspace, corpus: Corpus) -> frozenset[str]:
    """The passages of documents that answer queries of dev or test, where sharing a document is a leak."""
    if workspace.recipe.split.by != "group":
        return frozenset()
    collection = workspace.collection
    splits = [split for split in collection.splits() if split not in ("train", LEAKED)]
    answers = {j.doc_id for split in splits for j in collection.judgments(split) if j.grade > 0}
    rows = [row for row, doc_id in enumerate(corpus.doc_ids) if doc_id in answers]
    return frozenset(text_key(text) for row in rows for text in texts_of(corpus, row))
