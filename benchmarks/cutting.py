"""How documents are cut, and how their passages' scores fold back: nDCG@10 of the base beside documents truncated.

    python benchmarks/cutting.py SET... --data DIR --work DIR [--documents N --queries N]

Sets where cutting matters, all with dev (and train) queries, since nothing is trained; none is of a test split:

- ``medquad``: answers about diseases, graded by the structure of the set (the answer itself 4, others about the same
  disease 1, relevant from 2). They have no titles; the first sentence is mostly the question.
- ``pubmedqa``: abstracts, and a question about one of them.
- ``joined``: four of these abstracts as one document, so that what is asked for lies anywhere.
- ``docstrings``: documentation of numpy, scipy and scikit-learn as installed: query = first paragraph, document = the
  rest, title = the name. ``untitled``: the same without names.

Vectors are kept in ``--work``, by the text, so a setting costs only the passages that no other had.
"""

import argparse
import datetime
import hashlib
import importlib
import inspect
import json
import os
import platform
import re
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import nearer
from nearer.core.arrays import Floats32, Floats64
from nearer.core.errors import NearerError
from nearer.core.progress import Silent
from nearer.core.records import Document, Judgment
from nearer.encode.cache import EmbeddingCache
from nearer.encode.chunk import Window, sentences, split_text
from nearer.encode.encoder import TextEncoder
from nearer.measure.metrics import Measure, Qrels, score
from nearer.measure.significance import compare_all
from nearer.systems import BASE, open_system

NDCG = Measure.parse("nDCG@10")
_DEPTH = 50
_MODULES = {
    "numpy": ["", ".linalg", ".fft", ".random", ".ma", ".polynomial", ".char"],
    "scipy": [
        *(".signal", ".stats", ".optimize", ".linalg", ".sparse", ".sparse.linalg", ".spatial", ".interpolate"),
        *(".ndimage", ".special", ".integrate", ".cluster.hierarchy", ".fft", ".io", ".sparse.csgraph"),
    ],
    "sklearn": [
        *(".cluster", ".decomposition", ".ensemble", ".linear_model", ".metrics", ".preprocessing", ".neighbors"),
        *(".model_selection", ".svm", ".tree", ".datasets", ".feature_selection", ".manifold", ".mixture"),
        *(".naive_bayes", ".pipeline", ".utils", ".impute", ".covariance", ".gaussian_process"),
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """A set: documents in order of doc_id, queries by id, judgments."""

    documents: list[Document]
    queries: dict[str, str]
    judgments: list[Judgment]
    relevant_from: int = 1


def main() -> None:
    """Print a table for every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", nargs="+", choices=SETS)
    parser.add_argument("--data", type=Path, help="the folder of the BEIR folders")
    parser.add_argument("--work", type=Path, required=True, help="where vectors are kept")
    parser.add_argument("--documents", type=int, default=1200)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--cutting", action="append", choices=CUTTINGS, help="these alone; the first is the baseline")
    arguments = parser.parse_args()
    try:
        workspace = nearer.Workspace.open(arguments.work / "workspace")
    except NearerError:
        nearer.Workspace.init(arguments.work / "workspace").close()
        workspace = nearer.Workspace.open(arguments.work / "workspace")
    encoder = open_system(workspace, BASE).encoder
    for name in arguments.set:
        table(name, SETS[name](arguments), encoder, arguments)


def table(name: str, data: Data, encoder: TextEncoder, arguments: argparse.Namespace) -> None:
    """Every cutting with every fold, beside the first."""
    lengths = np.array([len(encoder.token_spans(each.full_text)) for each in data.documents])
    print(
        f"\n{name}: {len(data.documents):,} documents (median {np.median(lengths):.0f} tokens, "
        f"{(lengths > 126).mean():.0%} "
        f"over 126, {(lengths > 254).mean():.0%} over 254), {len(data.queries)} queries; drawn by hash; "
        f"{os.cpu_count()} cores ({platform.machine()}), {datetime.date.today().isoformat()}\n"
    )
    print("| cutting | fold | passages | new vectors | nDCG@10 | - the first |")
    print("| --- | --- | --- | --- | --- | --- |")
    query_ids, doc_ids = list(data.queries), [each.doc_id for each in data.documents]
    qrels = Qrels.build(query_ids, doc_ids, data.judgments, relevant_from=data.relevant_from)
    query_emb_QD = encoder.encode_queries(list(data.queries.values()))
    baseline_Q: Floats64 | None = None
    for cutting in arguments.cutting or CUTTINGS:
        passages = [CUTTINGS[cutting](each, encoder) for each in data.documents]
        began = time.monotonic()
        passage_emb_PD, num_new = embed([text for each in passages for text in each], encoder, arguments.work)
        took = f"{num_new:,} in {time.monotonic() - began:.0f} s"
        counts_N = np.array([len(each) for each in passages])
        for fold, folded in FOLDS.items() if counts_N.max() > 1 else [("best", best)]:
            scores_QN = folded(query_emb_QD, passage_emb_PD, counts_N)
            values_Q = score([NDCG], ranked(scores_QN), qrels)[NDCG]
            baseline_Q = values_Q if baseline_Q is None else baseline_Q
            said = f"{values_Q.mean():.3f} | {compared(baseline_Q, values_Q)}"
            print(f"| {cutting} | {fold} | {counts_N.sum():,} | {took} | {said} |", flush=True)
            took = ""


def embed(texts: Sequence[str], encoder: TextEncoder, work: Path) -> tuple[Floats32, int]:
    """The vectors of passages, from the cache where they are."""
    with EmbeddingCache(
        work / "vectors", encoder_id=encoder.encoder_id, kind="documents", dimension=encoder.dimension
    ) as cache:
        return cache.vectors(texts, encode=encoder.encode_documents, progress=Silent(), label="encode")


def ranked(scores_QN: Floats32) -> np.ndarray:
    """The rows of the best documents, equal scores towards the higher row as everywhere."""
    number = scores_QN.shape[1]
    return number - 1 - np.argsort(-scores_QN[:, ::-1], axis=1, kind="stable")[:, :_DEPTH]


def compared(before_Q: Floats64, after_Q: Floats64) -> str:
    """The difference with its interval and p."""
    if before_Q is after_Q:
        return ""
    [found] = compare_all(
        before_Q[:, None],
        after_Q[:, None],
        metrics=[str(NDCG)],
        groups_Q=None,
        num_resamples=5000,
        confidence=0.95,
        seed=0,
    )
    return f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}], p = {found.p_value:.2g}"


# How documents are cut


def pieces(text: str, encoder: TextEncoder, tokens: int, overlap: int) -> list[str]:
    """A text in passages as the library cuts them."""
    return split_text(text, window=Window(max_tokens=tokens, overlap_tokens=overlap), spans=encoder.token_spans(text))


def truncated(tokens: int) -> Callable[[Document, TextEncoder], list[str]]:
    """The beginning of the document alone."""

    def cut(document: Document, encoder: TextEncoder) -> list[str]:
        text = document.full_text
        spans = encoder.token_spans(text)
        return [text if len(spans) <= tokens else text[: spans[tokens][0]].rstrip()]

    return cut


def passages(tokens: int, overlap: int) -> Callable[[Document, TextEncoder], list[str]]:
    """Passages of so many tokens."""
    return lambda document, encoder: pieces(document.full_text, encoder, tokens, overlap)


def even(tokens: int) -> Callable[[Document, TextEncoder], list[str]]:
    """Passages of about equal length, so that the last is no shorter than the others; none is shared."""

    def cut(document: Document, encoder: TextEncoder) -> list[str]:
        length = len(encoder.token_spans(document.full_text))
        number = -(-length // tokens)
        each = min(tokens, int(1.15 * length / max(1, number)) + 1)
        return pieces(document.full_text, encoder, tokens if number <= 1 else each, 0)

    return cut


def headed(tokens: int, overlap: int) -> Callable[[Document, TextEncoder], list[str]]:
    """Passages that begin with the title or, without one, the first sentence; a quarter of the passage at most."""

    def cut(document: Document, encoder: TextEncoder) -> list[str]:
        text = document.full_text
        if len(encoder.token_spans(text)) <= tokens:
            return [text]
        heading = document.title or (sentences(text) or [""])[0]
        spans = encoder.token_spans(heading)
        if len(spans) > tokens // 4:
            heading = heading[: spans[tokens // 4][0]].rstrip()
        room = tokens - min(len(spans), tokens // 4)
        first, *others = pieces(text, encoder, room, min(overlap, room // 2))
        return [first, *(f"{heading}\n{each}" for each in others)]

    return cut


CUTTINGS: dict[str, Callable[[Document, TextEncoder], list[str]]] = {
    "truncated at 128": truncated(126),
    "truncated at 256": truncated(254),
    "128 tokens, 31 shared": passages(126, 31),
    "128 tokens, none shared": passages(126, 0),
    "128 tokens, even": even(126),
    "128 tokens, headed": headed(126, 31),
    "64 tokens, 15 shared": passages(62, 15),
    "256 tokens, 32 shared": passages(254, 32),
    "256 tokens, headed": headed(254, 32),
}


# How the scores of passages fold into the document's


def best(query_emb_QD: Floats32, passage_emb_PD: Floats32, counts_N: np.ndarray) -> Floats32:
    """That of the best passage."""
    return np.maximum.reduceat(query_emb_QD @ passage_emb_PD.T, starts(counts_N), axis=1)


def first(query_emb_QD: Floats32, passage_emb_PD: Floats32, counts_N: np.ndarray) -> Floats32:
    """That of the first passage."""
    return query_emb_QD @ passage_emb_PD[starts(counts_N)].T


def mean(query_emb_QD: Floats32, passage_emb_PD: Floats32, counts_N: np.ndarray) -> Floats32:
    """The mean of all."""
    return np.add.reduceat(query_emb_QD @ passage_emb_PD.T, starts(counts_N), axis=1) / counts_N


def with_first(query_emb_QD: Floats32, passage_emb_PD: Floats32, counts_N: np.ndarray) -> Floats32:
    """Half the best, half the first."""
    parts = (query_emb_QD, passage_emb_PD, counts_N)
    return (best(*parts) + first(*parts)) / 2


def with_mean(query_emb_QD: Floats32, passage_emb_PD: Floats32, counts_N: np.ndarray) -> Floats32:
    """Half the best, half the mean."""
    parts = (query_emb_QD, passage_emb_PD, counts_N)
    return (best(*parts) + mean(*parts)) / 2


def starts(counts_N: np.ndarray) -> np.ndarray:
    """The row of each document's first passage."""
    return np.cumsum(counts_N) - counts_N


FOLDS = {"best": best, "first": first, "mean": mean, "best + first": with_first, "best + mean": with_mean}


# Sets


def medquad(arguments: argparse.Namespace) -> Data:
    """Answers of dev's questions, with grades by disease."""
    folder = arguments.data / "medquad"
    corpus, queries = read_rows(folder / "corpus.jsonl"), read_rows(folder / "queries.jsonl")
    about: dict[str, list[str]] = {}
    for doc_id, row in corpus.items():
        about.setdefault(row["metadata"]["focus"].casefold(), []).append(doc_id)
    answers: dict[str, set[str]] = {}
    for query_id, doc_id in read_pairs(folder / "qrels" / "dev.tsv"):
        if len(about.get(queries[query_id]["metadata"]["label_focus"].casefold(), ())) > 1:
            answers.setdefault(query_id, set()).add(doc_id)
    chosen = by_hash(answers)[: arguments.queries]
    judgments = [
        Judgment(query_id=query_id, doc_id=doc_id, grade=4 if doc_id in answers[query_id] else 1)
        for query_id in chosen
        for doc_id in about[queries[query_id]["metadata"]["label_focus"].casefold()]
    ]
    return Data(
        documents=kept(corpus, judgments, arguments.documents),
        queries={query_id: queries[query_id]["text"] for query_id in chosen},
        judgments=judgments,
        relevant_from=2,
    )


def pubmedqa(arguments: argparse.Namespace) -> Data:
    """Abstracts, with questions of dev and train."""
    corpus, queries, judgments = read_pubmedqa(arguments)
    return Data(documents=kept(corpus, judgments, arguments.documents), queries=queries, judgments=judgments)


def joined(arguments: argparse.Namespace) -> Data:
    """Four abstracts as one document, ``--documents`` of these."""
    corpus, queries, judgments = read_pubmedqa(arguments)
    asked = {each.doc_id for each in judgments}
    others = [doc_id for doc_id in by_hash(corpus) if doc_id not in asked]
    order = by_hash([*asked, *others[: max(0, 4 * arguments.documents - len(asked))]])
    home = {doc_id: f"j{place // 4:04d}" for place, doc_id in enumerate(order)}
    texts: dict[str, list[str]] = {}
    for doc_id in order:
        texts.setdefault(home[doc_id], []).append(corpus[doc_id]["text"])
    return Data(
        documents=[Document(doc_id=doc_id, text="\n\n".join(each)) for doc_id, each in sorted(texts.items())],
        queries=queries,
        judgments=[Judgment(query_id=each.query_id, doc_id=home[each.doc_id], grade=1) for each in judgments],
    )


def docstrings(arguments: argparse.Namespace, *, titled: bool = True) -> Data:
    """Documentation of functions and classes."""
    found = dict(installed_docstrings())
    about: dict[str, list[str]] = {}
    for body, (_, sentence) in found.items():
        about.setdefault(sentence, []).append(body)
    documents: dict[str, Document] = {}
    queries, judgments = {}, []
    for number, sentence in enumerate(by_hash(about)):
        for body in about[sentence]:
            doc_id = f"d{hashlib.sha256(body.encode()).hexdigest()[:12]}"
            documents[doc_id] = Document(doc_id=doc_id, title=found[body][0] if titled else "", text=body)
            if number < arguments.queries:
                queries[f"q{number}"] = sentence
                judgments.append(Judgment(query_id=f"q{number}", doc_id=doc_id, grade=1))
        if len(documents) >= arguments.documents and number >= arguments.queries:
            break
    return Data(
        documents=sorted(documents.values(), key=lambda each: each.doc_id), queries=queries, judgments=judgments
    )


def installed_docstrings() -> Iterable[tuple[str, tuple[str, str]]]:
    """The body of each docstring of some length, with its name and first paragraph."""
    warnings.simplefilter("ignore")
    for package, names in _MODULES.items():
        for name in names:
            for attribute, value in sorted(vars(importlib.import_module(package + name)).items()):
                own = str(getattr(value, "__module__", "")).startswith(package)
                if attribute.startswith("_") or not callable(value) or not own or not value.__doc__:
                    continue
                paragraphs = inspect.cleandoc(value.__doc__).split("\n\n")
                signature = re.match(r"\w+\(", paragraphs[0])
                sentence, *rest = paragraphs[1:] if signature and len(paragraphs) > 1 else paragraphs
                body = "\n\n".join(rest)
                if len(sentence.split()) >= 4 and len(body) > 800:
                    yield body, (f"{package}.{attribute}", " ".join(sentence.split()))


def read_pubmedqa(arguments: argparse.Namespace) -> tuple[dict[str, dict], dict[str, str], list[Judgment]]:
    """The abstracts, and as many questions of dev and train."""
    folder = arguments.data / "pubmedqa"
    corpus, queries = read_rows(folder / "corpus.jsonl"), read_rows(folder / "queries.jsonl")
    pairs = dict(pair for split in ("dev", "train") for pair in read_pairs(folder / "qrels" / f"{split}.tsv"))
    chosen = by_hash(pairs)[: arguments.queries]
    judgments = [Judgment(query_id=query_id, doc_id=pairs[query_id], grade=1) for query_id in chosen]
    return corpus, {query_id: queries[query_id]["text"] for query_id in chosen}, judgments


def kept(corpus: dict[str, dict], judgments: Sequence[Judgment], most: int) -> list[Document]:
    """The judged documents, and others by hash, as many as make ``most``."""
    judged = {each.doc_id for each in judgments}
    others = [doc_id for doc_id in by_hash(corpus) if doc_id not in judged]
    chosen = sorted(judged.union(others[: max(0, most - len(judged))]))
    return [
        Document(doc_id=doc_id, title=corpus[doc_id].get("title", ""), text=corpus[doc_id]["text"]) for doc_id in chosen
    ]


def read_rows(path: Path) -> dict[str, dict]:
    """The rows of a JSONL file, by id."""
    with path.open(encoding="utf-8") as lines:
        return {row["_id"]: row for row in map(json.loads, lines)}


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """The pairs of a file of judgments."""
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    return [(query_id, doc_id) for query_id, doc_id, _ in (line.split("\t") for line in lines)]


def by_hash(ids: Iterable[str]) -> list[str]:
    """Ids in the order of their hashes."""
    return sorted(ids, key=lambda key: hashlib.sha256(key.encode()).digest())


SETS: dict[str, Callable[[argparse.Namespace], Data]] = {
    "medquad": medquad,
    "pubmedqa": pubmedqa,
    "joined": joined,
    "docstrings": docstrings,
    "untitled": lambda arguments: docstrings(arguments, titled=False),
}


if __name__ == "__main__":
    main()
