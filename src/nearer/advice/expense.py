"""What a remedy takes: time a query, hours of work on the index, storage, data, money."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from nearer.advice.advice_data import AdviceData
from nearer.advice.remedies import Remedy, Work
from nearer.core.sections import CostRecipe
from nearer.encode.api import service_reader
from nearer.encode.corpus import Corpus
from nearer.encode.encoder import TextEncoder

_TIMED_QUERIES = 30
_TIMED_REQUESTS = 5
_SAMPLE_PASSAGES = 128
_FLOAT_BYTES = 4
_S_PER_H = 3600
_REVERSED = {
    "none": "at once: a setting, or one pointer",
    "transform": "in seconds: the former index stays",
    "re-embed": "in seconds: the former index stays",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast an encoder encodes passages of this corpus, and how many there are.

    A service has no rate, but tokens and their price in US dollars, if it is known.
    """

    passages_per_s: float | None
    num_passages: int
    dimension: int
    num_tokens: float = 0.0
    usd_per_million_tokens: float | None = None

    @property
    def hours(self) -> float | None:
        """To encode them all; none where it is the service's affair."""
        return None if self.passages_per_s is None else self.num_passages / self.passages_per_s / _S_PER_H


def measure_rate(encoder: TextEncoder, corpus: Corpus, *, clock: Callable[[], float] = time.perf_counter) -> Rate:
    """Encode some passages of the corpus, after a few that warm up; of a service only their tokens are estimated."""
    number, dimension = len(corpus.passages), encoder.dimension
    drawn = np.random.default_rng(0).permutation(number)[:_SAMPLE_PASSAGES]
    texts = sorted((corpus.passages[row] for row in drawn), key=len)
    if service := service_reader(encoder, "documents"):
        return Rate(
            passages_per_s=None,
            num_passages=number,
            dimension=dimension,
            num_tokens=service.estimated_tokens(texts) / len(texts) * number,
            usd_per_million_tokens=service.api.price_per_million_tokens,
        )
    encoder.encode_documents(texts[: max(1, len(texts) // 8)])
    began = clock()
    encoder.encode_documents(texts)
    rate = len(texts) / max(clock() - began, 1e-9)
    return Rate(passages_per_s=rate, num_passages=number, dimension=dimension)


def latency_ms(
    data: AdviceData, work: Work | None, *, most: int = _TIMED_QUERIES, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """The time that a remedy adds to one query here, in milliseconds: median and 95th percentile of some queries."""
    if work is None:
        return {"p50": 0.0, "p95": 0.0}
    rows = data.sample(most).tolist()
    work(rows[0])
    taken = []
    for row in rows:
        began = clock()
        work(row)
        taken.append(1000 * (clock() - began))
    p50, p95 = np.percentile(taken, [50, 95])
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3)}


def query_ms(data: AdviceData, encoder: TextEncoder) -> dict[str, float]:
    """The time of encoding one query; a service is asked a few times, and waiting for its limits counts."""
    most = _TIMED_REQUESTS if service_reader(encoder, "queries") else _TIMED_QUERIES
    return latency_ms(data, lambda row: encoder.encode_queries([data.queries[row].text]), most=most)


Prices = Mapping[str, float | tuple[float, float] | None]


class Expense(TypedDict):
    """What a remedy takes: work, bytes, pairs that are missing, US dollars, and how it is undone."""

    index_work: str
    reindex_hours: float | None
    storage_bytes: int
    training_hours: float | None
    pairs_missing: int
    cost: Prices
    undone: str


def expense(
    data: AdviceData, remedy: Remedy, rate: Rate, *, num_pairs: int, training_hours: float | None = None
) -> Expense:
    """What a remedy takes, trained on ``num_pairs`` where it learns."""
    recipe = data.workspace.recipe
    hours = _reindex_hours(data, remedy.index_work, rate)
    learns = remedy.word in ("adapter", "fine_tune")
    missing = max(0, recipe.advise.min_pairs - num_pairs) if learns else 0
    return Expense(
        index_work=remedy.index_work,
        reindex_hours=hours,
        storage_bytes=_storage_bytes(data, remedy, rate),
        training_hours=training_hours,
        pairs_missing=missing,
        cost={
            "reindex_usd": _reindex_usd(data, remedy.index_work, rate, hours=hours),
            **_learning_usd(recipe.cost, remedy, training_hours=training_hours, missing=missing),
        },
        undone=_REVERSED[remedy.index_work],
    )


def _reindex_hours(data: AdviceData, index_work: str, rate: Rate) -> float | None:
    if index_work == "re-embed":
        return rate.hours
    if index_work == "none":
        return 0.0
    sample_PD = data.passage_emb_PD[:4096]
    matrix_DD = np.eye(sample_PD.shape[1], dtype=np.float32)
    began = time.perf_counter()
    sample_PD @ matrix_DD
    return (time.perf_counter() - began) * len(data.passage_emb_PD) / len(sample_PD) / _S_PER_H


def _storage_bytes(data: AdviceData, remedy: Remedy, rate: Rate) -> int:
    """What is kept beside what there is: a second index, the words."""
    vectors = 0 if remedy.index_work == "none" else rate.num_passages * rate.dimension * _FLOAT_BYTES
    names = remedy.name.split("+")
    reads_words = any(each in ("bm25", "rrf", "hybrid") for each in names)
    folder = data.workspace.lexical
    words = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if reads_words else 0
    return vectors + words


def _reindex_usd(data: AdviceData, index_work: str, rate: Rate, *, hours: float | None) -> float | None:
    """The price of a service's tokens, or of the machine; none where the recipe has none."""
    recipe = data.workspace.recipe.cost
    if index_work != "re-embed" or rate.passages_per_s is not None:
        price = recipe.machine_usd_per_hour
        return None if price is None or hours is None else hours * price
    price, tokens = rate.usd_per_million_tokens, rate.num_tokens
    if price is None:
        price = recipe.api_usd_per_million_tokens
    if recipe.tokens_per_document:
        tokens = recipe.tokens_per_document * len(data.corpus.documents)
    return None if price is None else tokens / 1e6 * price


def _learning_usd(recipe: CostRecipe, remedy: Remedy, *, training_hours: float | None, missing: int) -> Prices:
    """What training costs, and the pairs that are missing for it; none where the recipe has no price."""
    gpu, llm = recipe.gpu_usd_per_hour, recipe.llm_usd_per_million_tokens
    training = None if training_hours is None or gpu is None else training_hours * gpu
    if remedy.word == "fine_tune" and recipe.finetune_usd_per_run is not None:
        training = recipe.finetune_usd_per_run
    low, high = recipe.judgment_usd
    tokens_a_pair = recipe.tokens_per_document or 0
    return {
        "training_usd": training,
        "judgments_usd": (missing * low, missing * high),
        "llm_usd": None if llm is None or not tokens_a_pair else missing * tokens_a_pair / 1e6 * llm,
    }
