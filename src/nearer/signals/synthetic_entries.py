"""Written queries that stay, as training queries and judgments; and a summary of them beside real queries."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from nearer.core.ids import content_id
from nearer.core.records import Document, Judgment, Query
from nearer.core.results.llm import LlmUse, Shape, Synthesized, SyntheticQuery
from nearer.core.text import normalise
from nearer.signals.prompts import Prompt
from nearer.signals.query_styles import STYLES, style_of
from nearer.signals.suspicious import is_suspicious
from nearer.signals.synthetic_filters import Candidate, Sifted
from nearer.store.collection import SYNTHETIC, SYNTHETIC_ID, TRAIN
from nearer.store.registry import utc_now

OFFLINE = "offline"
"""The method that asks no model."""
_SHOWN = 10
_CHOOSING = 10
"""One document in so many is kept out of training with its queries, to choose a checkpoint by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticEntries:
    """Queries and their judgments, row by row, and query ids by split."""

    queries: list[Query] = field(default_factory=list)
    judgments: list[Judgment] = field(default_factory=list)
    splits: dict[str, list[str]] = field(default_factory=lambda: {TRAIN: [], SYNTHETIC: []})


def synthetic_entries(
    kept: Sequence[Candidate],
    ranks: Mapping[tuple[str, str], int | None],
    *,
    method: str,
    prompt: Prompt | None,
    grade: int,
) -> SyntheticEntries:
    """Each query that stays with its judgment, of ``grade``, on its own document.

    ``ranks`` has the best rank of that document, from 1, by the document's id and the query's text.
    """
    entries, at = SyntheticEntries(), utc_now()
    for each in kept:
        query_id = content_id(SYNTHETIC_ID.rstrip("-"), [method, normalise(each.text)])
        metadata: dict[str, object] = {"synthetic_by": method, "synthetic_style": each.style}
        if prompt:
            metadata["synthetic_prompt"] = prompt.hash
        if rank := ranks.get((each.doc_id, each.text)):
            metadata["label_round_trip_rank"] = rank
        entries.queries.append(Query(query_id=query_id, text=each.text, metadata=metadata))
        entries.judgments.append(
            Judgment(query_id=query_id, doc_id=each.doc_id, grade=grade, source="synthetic", rater=method, at=at)
        )
        entries.splits[SYNTHETIC if _is_choosing(each.doc_id) else TRAIN].append(query_id)
    return entries


def _is_choosing(doc_id: str) -> bool:
    """Whether a document's queries choose a checkpoint instead of training: drawn by a hash, so that it stays."""
    return int(content_id("choosing", doc_id)[-8:], 16) % _CHOOSING == 0


def summarise_synthetic(
    sifted: Sifted,
    documents: Sequence[Document],
    real: Sequence[str],
    *,
    method: str,
    num_written: int,
    use: LlmUse | None,
    prompt: Prompt | None,
    is_dry_run: bool,
) -> Synthesized:
    """What was written for documents, and how it looks beside ``real`` queries."""
    titles = {each.doc_id: each.title for each in documents}
    shown = Random(0).sample(sifted.kept, min(_SHOWN, len(sifted.kept)))
    return Synthesized(
        method=method,
        num_documents=len(documents),
        num_written=num_written,
        num_kept=len(sifted.kept),
        num_choosing=sum(_is_choosing(each.doc_id) for each in sifted.kept),
        num_gone=sifted.num_gone,
        samples_gone=sifted.samples,
        samples=tuple(
            SyntheticQuery(query=each.text, style=each.style, doc_id=each.doc_id, title=titles[each.doc_id])
            for each in shown
        ),
        synthetic=_shape([each.text for each in sifted.kept]),
        real=_shape(real),
        prompt=prompt.hash if prompt else None,
        num_suspicious=sum(is_suspicious(each.full_text) for each in documents) if prompt else 0,
        is_dry_run=is_dry_run,
        notes=tuple(_notes(method, documents, sifted)),
        use=use,
    )


def _shape(texts: Sequence[str]) -> Shape:
    counts = Counter(map(style_of, texts))
    return Shape(
        num_queries=len(texts),
        mean_words=sum(len(each.split()) for each in texts) / len(texts) if texts else None,
        styles={style: counts[style] / len(texts) for style in STYLES} if texts else {},
    )


def _notes(method: str, documents: Sequence[Document], sifted: Sifted) -> Iterator[str]:
    if method == OFFLINE:
        yield "made without a model, of the documents' own words: weaker than what people ask"
        yield "on two real sets what learned from them alone was worse than the base: measure it before it goes live"
    if sifted.kept:
        without = len(documents) - len({each.doc_id for each in sifted.kept})
        if without:
            yield f"{without:,} of {len(documents):,} documents have no query that stays"
