"""banking77 again, made of its training and dev queries: what intents without training cost, without a look at test.

    python benchmarks/held_out.py --data FOLDER --to OTHER
    python benchmarks/quality.py banking77 --work WORK --data OTHER --seconds 600

Of the intents of training some are held out. Their queries are those of `test_unseen_intents`; `test` is drawn from
dev, and `train` and `dev` keep the rest. Queries of the test splits are no documents here; every other message of their
intent is relevant to them, as it is in the set itself.
"""

import argparse
import csv
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NUM_INTENTS, NUM_UNSEEN, NUM_TEST = 12, 500, 350
Judged = Mapping[str, Sequence[str]]
"""The relevant documents of each query."""


def main() -> None:
    """Write OTHER/banking77."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder of banking77's folder")
    parser.add_argument("--to", type=Path, required=True, help="an empty folder")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    source = arguments.data / "banking77"
    documents, queries = records(source / "corpus.jsonl"), records(source / "queries.jsonl")
    splits = divided(documents, queries, judged(source, "train"), judged(source, "dev"), seed=arguments.seed)
    asked = {own_document(query_id) for name in ("test", "test_unseen_intents") for query_id in splits[name]}
    write(arguments.to / "banking77", [each for each in documents if each["_id"] not in asked], queries, splits)


def divided(
    documents: Sequence[dict[str, Any]], queries: Sequence[dict[str, Any]], train: Judged, dev: Judged, *, seed: int
) -> dict[str, Judged]:
    """The four splits."""
    intent_of = {each["_id"]: each["metadata"]["label_intent"] for each in queries}
    rng = random.Random(seed)
    held_out = set(rng.sample(sorted({intent_of[query_id] for query_id in train}), NUM_INTENTS))
    unseen = rng.sample(sorted(each for each in (*train, *dev) if intent_of[each] in held_out), NUM_UNSEEN)
    test = rng.sample(sorted(each for each in dev if intent_of[each] not in held_out), NUM_TEST)
    asked = {own_document(query_id) for query_id in (*unseen, *test)}
    kept = {each["_id"]: each["metadata"]["intent"] for each in documents if each["_id"] not in asked}

    def rest(known: Judged) -> Judged:
        own = (each for each in known if intent_of[each] not in held_out and each not in test)
        return {query_id: [doc_id for doc_id in known[query_id] if doc_id in kept] for query_id in own}

    def all_of(query_ids: Sequence[str]) -> Judged:
        return {each: [doc_id for doc_id, intent in kept.items() if intent == intent_of[each]] for each in query_ids}

    return {"train": rest(train), "dev": rest(dev), "test": all_of(test), "test_unseen_intents": all_of(unseen)}


def own_document(query_id: str) -> str:
    """The document that a query of training or dev is, which has its hash."""
    return f"d{query_id[1:]}"


def records(path: Path) -> list[dict[str, Any]]:
    """The lines of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def judged(folder: Path, split: str) -> Judged:
    """What a split says."""
    found: dict[str, list[str]] = {}
    with (folder / "qrels" / f"{split}.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            found.setdefault(row["query-id"], []).append(row["corpus-id"])
    return found


def write(
    folder: Path, documents: Sequence[dict[str, Any]], queries: Sequence[dict[str, Any]], splits: Mapping[str, Judged]
) -> None:
    """A BEIR folder with the queries that the splits have."""
    (folder / "qrels").mkdir(parents=True)
    used = {query_id for known in splits.values() for query_id in known}
    files = {"corpus.jsonl": documents, "queries.jsonl": [each for each in queries if each["_id"] in used]}
    for name, lines in files.items():
        (folder / name).write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    for split, known in splits.items():
        rows = (f"{query_id}\t{doc_id}\t1\n" for query_id, doc_ids in known.items() for doc_id in doc_ids)
        text = "".join(("query-id\tcorpus-id\tscore\n", *rows))
        (folder / "qrels" / f"{split}.tsv").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
