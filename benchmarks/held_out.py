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
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sets import read_rows, write_lines

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
    source, target = arguments.data / "banking77", arguments.to / "banking77"
    corpus, queries = read_rows(source / "corpus.jsonl"), read_rows(source / "queries.jsonl")
    kept, splits = divided(corpus, queries, judged(source, "train"), judged(source, "dev"), seed=arguments.seed)
    used = {query_id for known in splits.values() for query_id in known}
    (target / "qrels").mkdir(parents=True)
    write_lines(target / "corpus.jsonl", (corpus[doc_id] for doc_id in kept))
    write_lines(target / "queries.jsonl", (row for query_id, row in queries.items() if query_id in used))
    for split, known in splits.items():
        rows = (f"{query_id}\t{doc_id}\t1" for query_id, doc_ids in known.items() for doc_id in doc_ids)
        write_lines(target / "qrels" / f"{split}.tsv", ("query-id\tcorpus-id\tscore", *rows))


def divided(
    corpus: Mapping[str, str], queries: Mapping[str, str], train: Judged, dev: Judged, *, seed: int
) -> tuple[Iterable[str], dict[str, Judged]]:
    """The documents that are kept, and the four splits."""
    intent_of = {query_id: json.loads(row)["metadata"]["label_intent"] for query_id, row in queries.items()}
    rng = random.Random(seed)
    held_out = set(rng.sample(sorted({intent_of[query_id] for query_id in train}), NUM_INTENTS))
    unseen = rng.sample(sorted(each for each in (*train, *dev) if intent_of[each] in held_out), NUM_UNSEEN)
    test = rng.sample(sorted(each for each in dev if intent_of[each] not in held_out), NUM_TEST)
    asked = {own_document(query_id) for query_id in (*unseen, *test)}
    kept = {doc_id: json.loads(row)["metadata"]["intent"] for doc_id, row in corpus.items() if doc_id not in asked}

    def rest(known: Judged) -> Judged:
        own = (each for each in known if intent_of[each] not in held_out and each not in test)
        return {query_id: [doc_id for doc_id in known[query_id] if doc_id in kept] for query_id in own}

    def all_of(query_ids: Sequence[str]) -> Judged:
        return {each: [doc_id for doc_id, intent in kept.items() if intent == intent_of[each]] for each in query_ids}

    return kept, {"train": rest(train), "dev": rest(dev), "test": all_of(test), "test_unseen_intents": all_of(unseen)}


def own_document(query_id: str) -> str:
    """The document that a query of training or dev is, which has its hash."""
    return f"d{query_id[1:]}"


def judged(folder: Path, split: str) -> Judged:
    """What a split says."""
    found: dict[str, list[str]] = {}
    with (folder / "qrels" / f"{split}.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            found.setdefault(row["query-id"], []).append(row["corpus-id"])
    return found


if __name__ == "__main__":
    main()
