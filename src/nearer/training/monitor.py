"""What is measured while a model trains: dev, a fixed sample of its training queries, and how its vectors lie.

Arrays: Q queries, P passages, D dimensions.
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from nearer.core.arrays import Floats32
from nearer.core.progress import Progress, Silent
from nearer.core.records import Document, Judgment, Query
from nearer.core.results.training import DevPoint
from nearer.core.results.training_plan import DevSize
from nearer.core.text import normalise
from nearer.encode.blocks import BLOCK_TEXTS, longest_first
from nearer.encode.corpus import CachedEncoder, Corpus
from nearer.encode.embedded import EmbeddedCorpus
from nearer.encode.encoder import Encoder
from nearer.evaluation.exclusions import find_exclusions
from nearer.evaluation.grades import scale_of
from nearer.learn.examples import Example
from nearer.store.workspace import Workspace
from nearer.training.dev_set import DevSet, best_wrong, judged_rows, num_hard, texts_of
from nearer.training.dev_size import MOST_TRAIN_QUERIES
from nearer.vectors.geometry import effective_rank

_BLOCK = 16
"""Texts that are encoded between two looks at the clock on a CPU, where small batches are as fast as large ones."""
_MOST_PASSAGES = 1000
"""Whose geometry is measured, evenly spaced over dev's: as many as tell some hundreds of dimensions apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """Dev, and training queries over documents chosen as dev's are; ``train`` is None when none are watched."""

    dev: DevSet
    train: DevSet | None

    def point(self, encoder: Encoder | CachedEncoder, step: int, progress: Progress | None = None) -> DevPoint:
        """The model as it is now; a passage that both sides rank is encoded once.

        Raises what ``progress`` does between two blocks of passages, as where the time is over.
        """
        row_of = {text: row for row, text in enumerate(dict.fromkeys(chain(*self.passages)))}
        emb_TD = _encoded(encoder, list(row_of), progress or Silent())
        dev_emb_PD = emb_TD[[row_of[text] for text in self.dev.passages]]
        values_Q = self.dev.values(encoder, dev_emb_PD)
        value = float(values_Q.mean())
        if not math.isfinite(value):
            return DevPoint(step=step, value=value)
        rows = np.linspace(0, len(dev_emb_PD) - 1, self.num_measured_passages).astype(np.int64)
        return DevPoint(
            step=step,
            value=value,
            queries=tuple(values_Q.tolist()),
            train=self._train_value(encoder, emb_TD, row_of),
            effective_rank=effective_rank(dev_emb_PD[rows]) if len(rows) > 1 else None,
        )

    @property
    def passages(self) -> tuple[Sequence[str], ...]:
        """The passages that both sides rank."""
        return tuple(each.passages for each in (self.dev, self.train) if each)

    @property
    def num_measured_passages(self) -> int:
        """Of how many of dev's passages the geometry is measured."""
        return min(len(self.dev.passages), _MOST_PASSAGES)

    def _train_value(
        self, encoder: Encoder | CachedEncoder, emb_TD: Floats32, row_of: Mapping[str, int]
    ) -> float | None:
        if self.train is None:
            return None
        return float(self.train.values(encoder, emb_TD[[row_of[text] for text in self.train.passages]]).mean())


def _encoded(encoder: Encoder | CachedEncoder, texts: Sequence[str], progress: Progress) -> Floats32:
    """The vectors of distinct texts, shape (T, D), a block at a time, so that progress is seen."""
    emb_TD = np.empty((len(texts), encoder.dimension), np.float32)
    is_slow = isinstance(encoder, Encoder) and encoder.model.device.type == "cpu"
    blocks = longest_first(texts, _BLOCK if is_slow else BLOCK_TEXTS)
    for block in progress.track(blocks, label="measure dev, passages", total=len(texts), size=len):
        emb_TD[block] = encoder.encode_documents([texts[row] for row in block])
    return emb_TD


def build_monitor(
    embedded: EmbeddedCorpus, *, dev: DevSet, examples: Sequence[Example], size: DevSize | None = None
) -> Monitor:
    """Dev, and a sample of the queries that are trained on, at most as many.

    They are ranked among their relevant documents, as many passages a query that the base wrongly ranks high as dev
    has, and documents of dev, whose vectors are there already, until there are as many as dev ranks.
    """
    workspace, corpus = embedded.workspace, embedded.corpus
    recipe = workspace.recipe
    queries, judgments, given = _trained_on(workspace, corpus, examples)
    number = min(MOST_TRAIN_QUERIES if recipe.train.alarms else 0, len(dev.queries), len(queries))
    if not number:
        return Monitor(dev=dev, train=None)
    rng = random.Random(recipe.train.seed)
    sample = [queries[row] for row in sorted(rng.sample(range(len(queries)), number))]
    asked = {query.query_id for query in sample}
    answers = {judgment.doc_id for judgment in judgments if judgment.query_id in asked}
    own = [document for document in given if document.doc_id in answers]
    right = judged_rows(sample, judgments, corpus)
    query_emb_QD = embedded.embed_queries(sample)
    share = math.ceil(
        num_hard(size.num_distractors if size else recipe.train.most_dev_distractors) * number / len(dev.queries)
    )
    taken = right.union(best_wrong(embedded, query_emb_QD, right, most_passages=share))
    others = [row for row in _rows_of(dev, corpus) if row not in taken]
    num_more = max(0, len(dev.starts_N) - len(taken) - len(own))
    rows = sorted(taken.union(rng.sample(others, min(num_more, len(others)))))
    documents = [*(corpus.documents[row] for row in rows), *own]
    known = {(judgment.query_id, judgment.doc_id) for judgment in judgments}
    train = DevSet.over(
        documents,
        [*(texts_of(corpus, row) for row in rows), *([document.text] for document in own)],
        sample,
        judgments,
        relevant_from=scale_of(workspace).relevant_from,
        excluded=find_exclusions(workspace, sample, documents, judged=known).pairs,
    )
    return Monitor(dev=dev, train=train)


def _trained_on(
    workspace: Workspace, corpus: Corpus, examples: Sequence[Example]
) -> tuple[list[Query], list[Judgment], list[Document]]:
    """The judged queries that are trained on, then those of the pairs, each with its positives as its documents.

    A positive that is no document's text becomes a document, the last of what is returned.
    """
    collection, scale = workspace.collection, scale_of(workspace)
    anchors = {example.anchor for example in examples}
    judgments = collection.judgments("train")
    judged = {judgment.query_id for judgment in judgments if judgment.grade >= scale.relevant_from}
    queries = [query for query in collection.queries("train") if query.query_id in judged and query.text in anchors]
    anchors.difference_update(query.text for query in queries)
    pairs = [pair for pair in collection.pairs() if pair.query in anchors]
    doc_id_of = _doc_ids_by_text(corpus) if pairs else {}
    given: dict[str, Document] = {}
    ids: dict[str, str] = {}
    paired = set()
    for pair in pairs:
        text = normalise(pair.positive)
        if text not in doc_id_of:
            doc_id_of[text] = _given_id(len(given))
            given[text] = Document(doc_id=doc_id_of[text], text=pair.positive)
        paired.add((ids.setdefault(pair.query, _given_id(len(ids))), doc_id_of[text]))
    return (
        [*queries, *(Query(query_id=query_id, text=text) for text, query_id in ids.items())],
        [*judgments, *(Judgment(query_id=q, doc_id=d, grade=scale.positive_from) for q, d in sorted(paired))],
        list(given.values()),
    )


def _given_id(number: int) -> str:
    """An id that no imported row has, since those are without line breaks."""
    return f"pairs\n{number}"


def _doc_ids_by_text(corpus: Corpus) -> dict[str, str]:
    """The document of each passage and of each whole text, normalised; the first where several have it."""
    found: dict[str, str] = {}
    for row, document in enumerate(corpus.documents):
        for text in (document.full_text, *texts_of(corpus, row)):
            found.setdefault(normalise(text), document.doc_id)
    return found


def _rows_of(dev: DevSet, corpus: Corpus) -> list[int]:
    """The corpus's rows of the documents that dev ranks."""
    known = set(dev.passages)
    return [row for row in range(len(corpus.documents)) if known.issuperset(texts_of(corpus, row))]
