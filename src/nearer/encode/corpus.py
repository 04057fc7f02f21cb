"""The workspace's documents as passages and vectors, through the cache.

Arrays: N documents in id order, P passages, Q queries, D dimensions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from nearer.core.arrays import Floats32, Ints
from nearer.core.errors import Conflict, InputError
from nearer.core.progress import Progress, Silent
from nearer.core.records import Document, Query
from nearer.core.sections import ChunkRecipe
from nearer.encode.api import service_reader
from nearer.encode.blocks import BLOCK_TEXTS
from nearer.encode.cache import LOCAL, Batching, EmbeddingCache
from nearer.encode.chunk import Window, has_at_most, passages
from nearer.encode.encoder import Encoder, Side, TextEncoder
from nearer.encode.engine import current_engine
from nearer.store.workspace import Workspace

PASSAGE_TOKENS = 126
"""The longest passage where the recipe says nothing: 128 tokens with the two marks that most encoders add.

Source: benchmarks/cutting.py, docs/results.md; all-MiniLM-L6-v2 learned from texts of 128 tokens (its model card).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Documents cut into passages for one encoder; ``starts_N`` is the row of each document's first passage.

    ``revision`` is that of the workspace's documents, where they are all of them.
    """

    documents: tuple[Document, ...]
    passages: tuple[str, ...]
    starts_N: Ints
    chunking: str
    revision: int = 0

    @property
    def doc_ids(self) -> tuple[str, ...]:
        """The documents' ids, in order."""
        return tuple(document.doc_id for document in self.documents)

    @property
    def is_cut(self) -> bool:
        """Whether any document has more than one passage."""
        return len(self.passages) > len(self.documents)

    def passages_of(self, row: int) -> range:
        """The passage rows of a document."""
        end = int(self.starts_N[row + 1]) if row + 1 < len(self.starts_N) else len(self.passages)
        return range(int(self.starts_N[row]), end)

    def some(self, rows: Sequence[int]) -> "Corpus":
        """Some of the documents, in this order."""
        ranges = [self.passages_of(row) for row in rows]
        return replace(
            self,
            documents=tuple(self.documents[row] for row in rows),
            passages=tuple(self.passages[each] for places in ranges for each in places),
            starts_N=np.cumsum([0, *map(len, ranges)])[:-1].astype(np.int64),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedEncoder:
    """An encoder whose vectors come from the cache, where they are."""

    workspace: Workspace
    encoder: TextEncoder
    progress: Progress = field(default_factory=Silent)

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self.encoder.dimension

    def encode_queries(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of queries, shape (N, D)."""
        queries = [Query(query_id=str(row), text=text) for row, text in enumerate(texts)]
        return embed_queries(self.workspace, self.encoder, queries, self.progress)

    def encode_documents(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of passages, shape (N, D)."""
        return embed_passages(self.workspace, self.encoder, texts, self.progress)[0]


def read_documents(workspace: Workspace) -> tuple[int, tuple[Document, ...]]:
    """All documents in id order, and the revision that they are of. Raises InputError when there are none."""
    revision, documents = workspace.collection.snapshot()
    if not documents:
        raise InputError("the workspace holds no documents", hint="import some: nearer add corpus FILE")
    return revision, tuple(documents)


def refuse_other_documents(documents: Sequence[Document], doc_ids: Sequence[str]) -> None:
    """Raises Conflict when these are not the documents that a measurement began with."""
    if [document.doc_id for document in documents] != list(doc_ids):
        raise Conflict("documents were added or removed while they were being measured", hint="repeat the command")


def refuse_edited(now: int, revision: int) -> None:
    """Raises Conflict when documents were edited, added or removed since a measurement began, at ``revision``."""
    if now != revision:
        raise Conflict(
            f"documents changed while they were being measured (revision {revision}, now {now})",
            hint="repeat the command",
        )


def cut(documents: Sequence[Document], encoder: TextEncoder, window: Window | None) -> Corpus:
    """Documents as passages."""
    starts: list[int] = []
    texts: list[str] = []
    for passage in passages(documents, window=window, token_spans=encoder.token_spans):
        if passage.ordinal == 0:
            starts.append(len(texts))
        texts.append(passage.text)
    return Corpus(
        documents=tuple(documents),
        passages=tuple(texts),
        starts_N=np.asarray(starts, dtype=np.int64),
        chunking=chunking_name(window),
    )


def window_of(chunk: ChunkRecipe, encoder: TextEncoder) -> Window | None:
    """The passages' window: the recipe's length, else ``PASSAGE_TOKENS``, or all that the encoder reads if less."""
    if not chunk.enabled:
        return None
    room = room_of(encoder)
    length = chunk.max_tokens or min(PASSAGE_TOKENS, room)
    if length > room:
        raise InputError(
            f"chunk.max_tokens = {length}, but the encoder has room for {room} tokens",
            hint=f"set chunk.max_tokens to {room} or less, or leave it out",
        )
    overlap = min(32, length // 4) if chunk.overlap_tokens is None else chunk.overlap_tokens
    if overlap > length // 2:
        raise InputError(
            f"chunk.overlap_tokens = {overlap} is more than half of a passage of {length} tokens",
            hint=f"set chunk.overlap_tokens to {length // 2} or less, or chunk.enabled = false",
        )
    return Window(max_tokens=length, overlap_tokens=overlap, repeat_title=chunk.repeat_title)


def room_of(encoder: TextEncoder) -> int:
    """The tokens of a text that an encoder can read beside its prompt and marks."""
    return encoder.settings.max_seq_length - encoder.count_tokens([""])[0]


def chunking_name(window: Window | None) -> str:
    """How passages were cut, as written into an index."""
    if window is None:
        return "whole documents"
    name = f"{window.max_tokens} tokens, {window.overlap_tokens} shared"
    return f"{name}, with headings" if window.repeat_title else name


def count_truncated(passages: Sequence[str], encoder: TextEncoder) -> int:
    """How many passages are longer than the encoder reads, so that their ends are never seen."""
    most = encoder.settings.max_seq_length
    doubtful = [each for each in passages if not has_at_most(encoder.settings.document_prompt + each, most)]
    return sum(tokens > most for tokens in encoder.count_tokens(doubtful))


def embed_passages(
    workspace: Workspace,
    encoder: TextEncoder,
    texts: Sequence[str],
    progress: Progress,
    *,
    label: str = "encode passages",
) -> tuple[Floats32, int]:
    """The vectors of texts as passages, shape (P, D), and how many were not in the cache."""
    return _embed(workspace, encoder, "documents", texts, progress, label=label)


def missing_passages(workspace: Workspace, encoder: TextEncoder, texts: Sequence[str]) -> list[str]:
    """The passages whose vectors are not in the cache, each once; of an encoder that keeps its own there."""
    with _cache(workspace, encoder, "documents") as cache:
        return cache.missing(texts)


def embed_queries(workspace: Workspace, encoder: TextEncoder, queries: Sequence[Query], progress: Progress) -> Floats32:
    """The queries' vectors, shape (Q, D)."""
    vectors_QD, _ = _embed(
        workspace, encoder, "queries", [query.text for query in queries], progress, label="encode queries"
    )
    return vectors_QD


def tell_cost(
    workspace: Workspace, encoder: TextEncoder, side: Side, parts: Iterable[Sequence[str]], progress: Progress
) -> None:
    """Say, before a service is asked, how many texts of all ``parts`` are not in the cache and what they will cost."""
    service = service_reader(encoder, side)
    if service is None:
        return
    num_texts = num_tokens = 0
    with _cache(workspace, service, side) as cache:
        for part in parts:
            missing = cache.missing(part)
            num_texts += len(missing)
            num_tokens += service.estimated_tokens(missing)
    if num_texts:
        progress.say(f"{side} to encode: {service.describe(num_texts=num_texts, num_tokens=num_tokens)}")


def _embed(
    workspace: Workspace,
    encoder: TextEncoder,
    side: Side,
    texts: Sequence[str],
    progress: Progress,
    *,
    label: str,
) -> tuple[Floats32, int]:
    tell_cost(workspace, encoder, side, [texts], progress)
    origin = encoder.origin(side)
    reader = origin.encoder
    encode = reader.encode_queries if side == "queries" else reader.encode_documents
    with _cache(workspace, reader, side) as cache:
        found, num_encoded = cache.vectors(
            texts, encode=encode, progress=progress, label=label, batching=_batching(reader, side)
        )
    return origin.apply(found), num_encoded


def _cache(workspace: Workspace, encoder: TextEncoder, side: Side) -> EmbeddingCache:
    return EmbeddingCache(workspace.embeddings, encoder_id=encoder.encoder_id, kind=side, dimension=encoder.dimension)


def _batching(encoder: TextEncoder, side: Side) -> Batching:
    """A service is asked for the texts of a request at a time, several times at once."""
    if service := service_reader(encoder, side):
        return Batching(block_texts=service.api.batch_texts, workers=service.api.max_parallel)
    if (engine := current_engine()) and isinstance(encoder, Encoder):
        return Batching(block_texts=BLOCK_TEXTS, elsewhere=partial(engine, encoder, side))
    return LOCAL
