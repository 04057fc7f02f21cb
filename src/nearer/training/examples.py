"""What a model is trained on: examples from judgments and pairs, less what dev or test knows."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from nearer.core.errors import RecipeError
from nearer.core.near_duplicates import resembling
from nearer.core.progress import Progress
from nearer.core.records import TRUSTED, Judgment, Pair, Query
from nearer.core.results.training import ExcludedFromTraining
from nearer.core.text import normalise
from nearer.encode.corpus import Corpus
from nearer.encode.embedded import EmbeddedCorpus
from nearer.evaluation.exclusions import excluded_by_name, own_documents
from nearer.evaluation.grades import scale_of
from nearer.evaluation.splits import leaks_of
from nearer.learn.examples import Example, from_judgments, from_pairs, limit, mask_neighbours, text_key
from nearer.store.collection import LEAKED
from nearer.store.workspace import Workspace
from nearer.training.sources import capped

_OWN_MARGIN = 0.05
"""How far below the positive's soft score a pair's own negative must lie. Source: NV-Retriever (arXiv 2407.15831)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """What training must not learn from, since dev or test knows it."""

    query_ids: frozenset[str]
    pairs: frozenset[Pair]

    @property
    def counted(self) -> ExcludedFromTraining:
        """How many they are."""
        return ExcludedFromTraining(queries=len(self.query_ids), pairs=len(self.pairs))


def find_excluded(workspace: Workspace) -> Excluded:
    """Queries that leak into a later side, and text pairs that do.

    A pair leaks when its query nearly repeats a dev or test query; with a split by group, also when its positive is
    the text of a document relevant there.
    """
    collection = workspace.collection
    leaks = leaks_of(workspace)
    pairs = collection.pairs()
    splits = [split for split in collection.splits() if split not in ("train", LEAKED)]
    held_out = [query.text for split in splits for query in collection.queries(split)]
    repeating = resembling([pair.query for pair in pairs], held_out) if pairs else []
    leaking = {pair for pair, is_near in zip(pairs, repeating, strict=True) if is_near}
    if pairs and workspace.recipe.split.by == "group":
        answers = {j.doc_id for split in splits for j in collection.judgments(split) if j.grade > 0}
        known = {normalise(document.full_text) for document in collection.documents(sorted(answers))}
        leaking |= {pair for pair in pairs if normalise(pair.positive) in known}
    return Excluded(query_ids=frozenset(leak.set_aside for leak in leaks), pairs=frozenset(leaking))


def read_examples(embedded: EmbeddedCorpus, *, excluded: Excluded) -> list[Example]:
    """The training pairs: each positive as its passage nearest to the query, then the pairs given as text.

    Those of sources that weigh nothing are left out. Raises RecipeError when a weight names no source, or all are 0.
    """
    workspace, progress = embedded.workspace, embedded.progress
    collection, recipe = workspace.collection, workspace.recipe.train
    queries = [query for query in collection.queries("train") if query.query_id not in excluded.query_ids]
    judgments = [j for j in collection.judgments("train") if j.query_id not in excluded.query_ids]
    pairs = [pair for pair in collection.pairs() if pair not in excluded.pairs]
    texts_of = passages_by_nearness(embedded, queries, judgments)
    judged = from_judgments(
        queries,
        judgments,
        scale=scale_of(workspace),
        texts_of=texts_of,
        max_positives=recipe.max_positives,
        graded=recipe.graded,
        seed=recipe.seed,
        source_field=recipe.source_field if recipe.judged_by == TRUSTED else None,
    )
    judged = mask_own(judged, own_passages(queries, embedded.corpus))
    examples = mask_neighbours([*judged, *from_pairs(pairs, margin=_OWN_MARGIN)])
    examples = _weighing(examples, recipe.source_weights, progress)
    examples = capped(examples, recipe.source_caps, seed=recipe.seed, progress=progress)
    return limit(examples, max_pairs=recipe.max_pairs, seed=recipe.seed)


def own_passages(queries: Sequence[Query], corpus: Corpus) -> dict[str, set[str]]:
    """The passages of the documents that are a query itself or that it excludes, as keys, by the key of its text.

    They answer nothing, and a search for the query returns them rightly, so they are never its negatives.
    """
    found: dict[str, set[str]] = {}
    for place, row in own_documents(queries, corpus.documents) | excluded_by_name(queries, corpus.documents):
        passages = (corpus.passages[each] for each in corpus.passages_of(row))
        found.setdefault(text_key(queries[place].text), set()).update(map(text_key, passages))
    return found


def mask_own(examples: Sequence[Example], own: Mapping[str, Collection[str]]) -> list[Example]:
    """The examples, whose anchors mask their own passages too, but for what is known to be a negative."""
    return [
        replace(each, masked=each.masked.union(own.get(text_key(each.anchor), ())) - each.known_negatives)
        for each in examples
    ]


def _weighing(examples: Sequence[Example], weights: Mapping[str, float], progress: Progress) -> list[Example]:
    """The examples of sources that weigh something."""
    numbers = Counter(example.source_name for example in examples)
    if unknown := sorted(weights.keys() - numbers.keys()):
        raise RecipeError(
            f"train.source_weights names {', '.join(map(repr, unknown))}, of which there are no training pairs",
            hint=f"the sources are: {', '.join(sorted(numbers)) or 'none'}; see train.source_field too",
        )
    excluded = {name: number for name, number in sorted(numbers.items()) if weights.get(name) == 0}
    if examples and len(excluded) == len(numbers):
        hint = "give one that is to be learned from a weight above 0"
        raise RecipeError("train.source_weights is 0 for every source there is", hint=hint)
    for name, number in excluded.items():
        progress.say(f"leaves out {number} pairs of the source {name}, which weighs 0")
    return [example for example in examples if example.source_name not in excluded]


def passages_by_nearness(
    embedded: EmbeddedCorpus, queries: Sequence[Query], judgments: Sequence[Judgment]
) -> dict[tuple[str, str], list[str]]:
    """For each judged (query, document) the document's passages, the one that the encoder finds nearest first."""
    row_of = {doc_id: row for row, doc_id in enumerate(embedded.corpus.doc_ids)}
    query_emb_QD = embedded.embed_queries(queries)
    vector_of = {query.query_id: vector_D for query, vector_D in zip(queries, query_emb_QD, strict=True)}
    return {
        (judgment.query_id, judgment.doc_id): embedded.passages_by_nearness(
            row_of[judgment.doc_id], vector_of[judgment.query_id]
        )
        for judgment in judgments
    }
