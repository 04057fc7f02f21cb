"""What an adapter is trained and measured on: judged queries and all passages, as vectors of one encoder.

Arrays: Q queries, N documents, P passages, D dimensions, E pairs of a query and a positive, C candidate negatives of a
pair, K ranked passages.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearer.core.arrays import Floats32, Ints
from nearer.core.ids import content_id
from nearer.core.near_duplicates import near_duplicates
from nearer.core.progress import Progress
from nearer.core.records import Judgment, Query
from nearer.core.results.training import Fit, MiningReport
from nearer.core.text import NEAR_DUPLICATE
from nearer.encode.adapter import Adapter
from nearer.encode.embedded import EmbeddedCorpus
from nearer.evaluation.exclusions import find_exclusions
from nearer.evaluation.grades import scale_of
from nearer.learn.examples import Example, from_judgments, mask_neighbours, text_key
from nearer.learn.fit_adapter import AdapterExamples, AdapterSettings, fit_adapter
from nearer.learn.negatives import choose
from nearer.measure.metrics import Qrels, score
from nearer.store.collection import TRAIN
from nearer.store.workspace import Workspace
from nearer.systems import System
from nearer.training.dev_set import DEV_MEASURE
from nearer.training.examples import mask_own, own_passages, passages_by_nearness
from nearer.training.mining import propose
from nearer.vectors.topk import top_k

Rows = Sequence[int] | Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdapterPairs:
    """What can be learned from: rows of queries and of their positives, passages never to be negatives, candidates.

    ``negatives_EC`` holds -1 where a pair has fewer.
    """

    pairs_id: str
    queries_E: Ints
    positives_E: Ints
    masked_E: tuple[frozenset[int], ...]
    negatives_EC: Ints
    mining: MiningReport


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AdapterSet:
    """Judged queries over a whole corpus; any rows of them can be trained or measured on, without a workspace.

    ``starts_N`` is the first passage of each document, ``excluded`` the pairs of query and document rows that are
    excluded.
    """

    space_id: str
    query_emb_QD: Floats32
    passage_emb_PD: Floats32
    starts_N: Ints
    qrels: Qrels
    excluded: tuple[Ints, Ints]
    pairs: AdapterPairs

    def examples(self, query_rows: Rows) -> AdapterExamples:
        """The pairs of these queries."""
        pairs = self.pairs
        chosen = np.flatnonzero(np.isin(pairs.queries_E, query_rows))
        return AdapterExamples(
            query_emb_QD=self.query_emb_QD[pairs.queries_E[chosen]],
            passage_emb_PD=self.passage_emb_PD,
            positives=[[row] for row in pairs.positives_E[chosen].tolist()],
            negatives_QC=pairs.negatives_EC[chosen],
            masked=[sorted(pairs.masked_E[pair]) for pair in chosen],
        )

    def fit(
        self, train_rows: Rows, dev_rows: Rows, *, settings: AdapterSettings, progress: Progress
    ) -> tuple[Adapter, Fit]:
        """The adapter that learns from some queries and is the best on others; nothing is written.

        Raises InputError when no query to learn from has a positive.
        """
        return fit_adapter(
            self.examples(train_rows),
            settings=settings,
            space_id=self.space_id,
            measure_dev=lambda adapter: self.measure(adapter, dev_rows),
            progress=progress,
        )

    def measure(self, adapter: Adapter, query_rows: Rows) -> float:
        """The mean of nDCG@10 over these queries, the whole corpus ranked."""
        rows, cutoff = np.asarray(query_rows, np.int64), DEV_MEASURE.cutoff
        assert cutoff is not None
        place_Q = np.full(len(self.query_emb_QD), -1)
        place_Q[rows] = np.arange(len(rows))
        of_queries, of_documents = self.excluded
        is_asked = place_Q[of_queries] >= 0
        ranked = top_k(
            adapter.apply_queries(self.query_emb_QD[rows]),
            adapter.apply_documents(self.passage_emb_PD),
            k=cutoff,
            starts_N=self.starts_N,
            excluded=(place_Q[of_queries[is_asked]], of_documents[is_asked]),
        )
        rows_QK = np.full((len(place_Q), cutoff), -1)
        rows_QK[rows] = ranked.rows_QK
        return float(score([DEV_MEASURE], rows_QK, self.qrels)[DEV_MEASURE][rows].mean())


def read_adapter_set(
    workspace: Workspace, system: System, learners: Sequence[Query], others: Sequence[Query] = (), *, progress: Progress
) -> AdapterSet:
    """The set of ``learners``, which are its first rows and have pairs, and of ``others``, which are only measured on.

    Vectors come from the cache of the system's encoder; only what it lacks is encoded. Hard negatives are what that
    encoder ranks high, chosen as the recipe's ``mining`` says.
    """
    queries = (*learners, *others)
    embedded = EmbeddedCorpus.read(workspace, system.encoder, chunk=system.chunk, progress=progress)
    corpus, passage_emb_PD = embedded.corpus, embedded.passage_emb_PD
    query_emb_QD = embedded.embed_queries(queries)
    judgments = workspace.collection.judgments()
    trained = workspace.collection.judgments(TRAIN)
    in_train = {each.query_id for each in trained}
    learned = [*trained, *(each for each in judgments if each.query_id not in in_train)]
    queries_E, examples = _examples(embedded, learners, learned)
    return AdapterSet(
        space_id=system.encoder.space_id,
        query_emb_QD=query_emb_QD,
        passage_emb_PD=passage_emb_PD,
        starts_N=corpus.starts_N,
        qrels=Qrels.build(
            [query.query_id for query in queries],
            corpus.doc_ids,
            judgments,
            relevant_from=scale_of(workspace).relevant_from,
        ),
        excluded=find_exclusions(workspace, queries, corpus.documents).pairs,
        pairs=_pairs(embedded, queries_E, examples, query_emb_QD),
    )


def _examples(
    embedded: EmbeddedCorpus, learners: Sequence[Query], judgments: Sequence[Judgment]
) -> tuple[Ints, list[Example]]:
    """The row of its query for each pair, and the pairs as texts, as training makes them."""
    recipe, scale = embedded.workspace.recipe.train, scale_of(embedded.workspace)
    judged: dict[str, list[Judgment]] = {query.query_id: [] for query in learners}
    for judgment in judgments:
        if judgment.query_id in judged:
            judged[judgment.query_id].append(judgment)
    mine = [judgment for each in judged.values() for judgment in each]
    texts_of = passages_by_nearness(embedded, learners, mine)
    rows, examples = [], []
    for row, query in enumerate(learners):
        found = from_judgments(
            [query],
            judged[query.query_id],
            scale=scale,
            texts_of=texts_of,
            max_positives=recipe.max_positives,
            graded=False,
            seed=recipe.seed,
        )
        rows += [row] * len(found)
        examples += found
    own = own_passages(learners, embedded.corpus)
    return np.asarray(rows, np.int64), mask_neighbours(mask_own(examples, own))


def _pairs(
    embedded: EmbeddedCorpus, queries_E: Ints, examples: Sequence[Example], query_emb_QD: Floats32
) -> AdapterPairs:
    """The pairs as rows, with their candidates mined."""
    recipe, passages, passage_emb_PD = embedded.workspace.recipe, embedded.corpus.passages, embedded.passage_emb_PD
    row_of = {text: row for row, text in enumerate(passages)}
    positives_E = np.asarray([row_of[example.positive] for example in examples], np.int64)
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(passages):
        rows_of[text_key(text)].append(row)
    masked = [{row for key in example.masked for row in rows_of.get(key, ())} for example in examples]
    asked, place_E = np.unique(queries_E, return_inverse=True)
    anchor_of = dict(zip(place_E.tolist(), (example.anchor for example in examples), strict=True))
    proposals = propose(
        recipe.mining,
        passages,
        [anchor_of[place] for place in range(len(asked))],
        query_emb_QD[asked],
        passage_emb_PD,
        most_masked=max(map(len, masked), default=0),
        language=recipe.search.language,
    )
    positive_scores_E = np.einsum("ed,ed->e", query_emb_QD[queries_E], passage_emb_PD[positives_E])
    candidates = proposals.candidates(passages, place_E, positive_scores_E)
    kept_EK, mining = choose(
        examples,
        candidates,
        recipe.mining,
        num_wanted=AdapterSettings().num_negatives,
        near_duplicate=NEAR_DUPLICATE,
    )
    most_kept = recipe.mining.top_k * len(recipe.mining.sources)
    kept_first_EC = np.argsort(~kept_EK, axis=1, kind="stable")[:, :most_kept]
    negatives_EC = np.take_along_axis(np.where(kept_EK, candidates.rows_QK, -1), kept_first_EC, axis=1)
    rows_U = np.union1d(positives_E, negatives_EC[negatives_EC >= 0])
    near_U = near_duplicates([passages[row] for row in rows_U])
    twins = {
        row: frozenset(rows_U[list(near)].tolist()) - {row} for row, near in zip(rows_U.tolist(), near_U, strict=True)
    }
    return AdapterPairs(
        pairs_id=content_id("pairs", [(example.anchor, example.positive) for example in examples]),
        queries_E=queries_E,
        positives_E=positives_E,
        masked_E=tuple(
            frozenset(rows | twins[positive]) for rows, positive in zip(masked, positives_E.tolist(), strict=True)
        ),
        negatives_EC=negatives_EC,
        mining=mining,
    )
