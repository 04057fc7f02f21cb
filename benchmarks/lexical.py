"""BM25 on any BEIR folders, with Lucene's settings and Anserini's.

    python benchmarks/lexical.py DIR... [--split dev] [--queries N]

Prints nDCG@10 over the whole corpus. A document whose text is the query's own is left out, as everywhere.
"""

import argparse
import json
import time
from pathlib import Path

from nearer.core.records import Judgment
from nearer.core.text import normalise
from nearer.measure.metrics import Measure, Qrels, score
from nearer.retrieval.lexical import LexicalIndex

NDCG = Measure.parse("nDCG@10")
SETTINGS = {"k1 1.2, b 0.75": (1.2, 0.75), "k1 0.9, b 0.4": (0.9, 0.4)}


def main() -> None:
    """Print a line of the table for every folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="folders in BEIR layout")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--queries", type=int, default=None, help="the first so many of the split")
    arguments = parser.parse_args()
    print(f"| {arguments.split} | queries | {' | '.join(SETTINGS)} | indexing |\n| --- | --- | --- | --- | --- |")
    for folder in arguments.data:
        print(line(folder, split=arguments.split, num_queries=arguments.queries), flush=True)


def line(folder: Path, *, split: str, num_queries: int | None) -> str:
    """One folder's nDCG@10 with each of the settings."""
    documents = sorted(read(folder / "corpus.jsonl"))
    judgments = read_judgments(folder / "qrels" / f"{split}.tsv")
    texts = dict(read(folder / "queries.jsonl"))
    query_ids = list(dict.fromkeys(judgment.query_id for judgment in judgments))[:num_queries]
    queries = [texts[query_id] for query_id in query_ids]
    rows_of: dict[str, list[int]] = {}
    for row, (_, text) in enumerate(documents):
        rows_of.setdefault(normalise(text), []).append(row)
    own = [(number, row) for number, text in enumerate(queries) for row in rows_of.get(normalise(text), ())]
    excluded = [query for query, _ in own], [row for _, row in own]
    qrels = Qrels.build(query_ids, [doc_id for doc_id, _ in documents], judgments, relevant_from=1)
    values = []
    for k1, b in SETTINGS.values():
        began = time.monotonic()
        index = LexicalIndex([text for _, text in documents], k1=k1, b=b)
        indexing_s = time.monotonic() - began
        found = index.search(queries, k=10, excluded=excluded)
        values.append(f"{score([NDCG], found.rows_QK, qrels)[NDCG].mean():.4f}")
    return f"| {folder.name} | {len(queries)} | {' | '.join(values)} | {indexing_s:.1f} s |"


def read(path: Path) -> list[tuple[str, str]]:
    """Ids and texts of a corpus or of queries; a title goes before its text."""
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(each) for each in lines if each.strip()]
    return [(str(row["_id"]), f"{row.get('title') or ''} {row['text']}".strip()) for row in rows]


def read_judgments(path: Path) -> list[Judgment]:
    """The judgments of a split."""
    rows = [each.split("\t") for each in path.read_text(encoding="utf-8").splitlines()[1:]]  # after the header
    return [Judgment(query_id=query_id, doc_id=doc_id, grade=int(float(grade))) for query_id, doc_id, grade in rows]


if __name__ == "__main__":
    main()
