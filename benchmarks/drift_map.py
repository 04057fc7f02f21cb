"""Whether a map may take a new model's queries into the old model's space while documents are embedded anew.

    python benchmarks/drift_map.py --data DIR --tuned FOLDER [--base MODEL] [--documents N] [--pairs N]

DIR is a folder in BEIR layout, --tuned the folder of a model that was trained from --base. Both models encode dev's
queries and the documents: all that are judged for dev, then others. A map is fitted on the vectors of --pairs documents
in both spaces: orthogonal Procrustes, and reduced-rank affine maps. Told are Recall@10 and nDCG@10 of dev for
the old model, for the new one with all documents embedded anew, and for its queries mapped into the old space; and the
share of the new model's ten best that the mapped queries find. Source: Drift-Adapter (arXiv 2509.23471), sections 3, 4.
"""

import argparse
import csv
import datetime
import json
import os
import platform
from pathlib import Path

import numpy as np

from nearer.core.arrays import Floats32
from nearer.encode.base_model import DEFAULT_MODEL
from nearer.encode.encoder import Encoder

SEED, K = 0, 10
RANKS = (64, 128, 256)


def main() -> None:
    """Measure every map, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tuned", required=True)
    parser.add_argument("--base", default=DEFAULT_MODEL)
    parser.add_argument("--documents", type=int, default=4000)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--max-length", type=int, default=128)
    arguments = parser.parse_args()
    documents, queries, judged = read(arguments.data, arguments.documents)
    old, new = (
        Encoder.load(source, max_seq_length=arguments.max_length) for source in (arguments.base, arguments.tuned)
    )
    old_ND, new_ND = (each.encode_documents(list(documents.values())) for each in (old, new))
    old_QD, new_QD = (each.encode_queries(list(queries.values())) for each in (old, new))
    drawn = np.random.default_rng(SEED).permutation(len(documents))[: arguments.pairs]
    relevant = [{row for row, doc_id in enumerate(documents) if doc_id in judged[each]} for each in queries]
    best_of_new = top(new_QD, new_ND)
    rows = {
        "old model": measured(top(old_QD, old_ND), relevant, best_of_new),
        "new model, embedded anew": measured(best_of_new, relevant, best_of_new),
        "new queries, old space, no map": measured(top(new_QD, old_ND), relevant, best_of_new),
    }
    for name, mapped_QD in maps(new_ND[drawn], old_ND[drawn], new_QD):
        rows[name] = measured(top(mapped_QD, old_ND), relevant, best_of_new)
    whole = rows["new model, embedded anew"]
    print(
        json.dumps(
            {
                "date": datetime.date.today().isoformat(),
                "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
                "data": arguments.data.name,
                "seed": SEED,
                "num_documents": len(documents),
                "num_queries": len(queries),
                "num_pairs": len(drawn),
                "rows": rows,
                "recall_share": {name: row["Recall@10"] / whole["Recall@10"] for name, row in rows.items()},
            },
            indent=2,
        )
    )


def read(folder: Path, number: int) -> tuple[dict[str, str], dict[str, str], dict[str, set[str]]]:
    """Documents and dev's queries by id, and the relevant documents of each query."""
    judged: dict[str, set[str]] = {}
    with (folder / "qrels/dev.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0:
                judged.setdefault(row["query-id"], set()).add(row["corpus-id"])
    wanted = set().union(*judged.values())
    texts = {row["_id"]: "\n".join(filter(None, (row.get("title"), row["text"]))) for row in rows_of(folder, "corpus")}
    kept = [*(each for each in texts if each in wanted), *(each for each in texts if each not in wanted)]
    queries = {row["_id"]: row["text"] for row in rows_of(folder, "queries") if row["_id"] in judged}
    return {each: texts[each] for each in kept[: max(number, len(wanted))]}, queries, judged


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    """The rows of a JSONL file."""
    with (folder / f"{name}.jsonl").open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def maps(new_PD: Floats32, old_PD: Floats32, queries_QD: Floats32) -> list[tuple[str, Floats32]]:
    """The queries by every map that was fitted on pairs of vectors of the same documents."""
    left, _, right = np.linalg.svd(new_PD.T @ old_PD)
    found = [("Procrustes", queries_QD @ (left @ right))]
    mean_new, mean_old = new_PD.mean(axis=0), old_PD.mean(axis=0)
    centred, wanted = new_PD - mean_new, old_PD - mean_old
    ridge = 1e-3 * len(centred) / centred.shape[1]
    weights = np.linalg.solve(centred.T @ centred + ridge * np.eye(centred.shape[1]), centred.T @ wanted)
    _, _, directions = np.linalg.svd(centred @ weights, full_matrices=False)
    for rank in RANKS:
        reduced = weights @ directions[:rank].T @ directions[:rank]
        mapped = (queries_QD - mean_new) @ reduced + mean_old
        found.append((f"affine, rank {rank}", mapped))
    return [(name, (each / np.linalg.norm(each, axis=1, keepdims=True)).astype(np.float32)) for name, each in found]


def top(queries_QD: Floats32, documents_ND: Floats32) -> list[list[int]]:
    """The rows of the ten best documents of each query."""
    return np.argsort(-(queries_QD @ documents_ND.T), axis=1, kind="stable")[:, :K].tolist()


def measured(found: list[list[int]], relevant: list[set[int]], best_of_new: list[list[int]]) -> dict[str, float]:
    """Recall@10 and nDCG@10 on the judgments, and the share of the new model's ten best that was found."""
    gains = 1 / np.log2(np.arange(2, K + 2))
    recall = [len(set(rows) & wanted) / len(wanted) for rows, wanted in zip(found, relevant, strict=True)]
    ndcg = [
        sum(gain for gain, row in zip(gains, rows, strict=True) if row in wanted) / gains[: len(wanted)].sum()
        for rows, wanted in zip(found, relevant, strict=True)
    ]
    shared = [len(set(rows) & set(best)) / K for rows, best in zip(found, best_of_new, strict=True)]
    return {"Recall@10": float(np.mean(recall)), "nDCG@10": float(np.mean(ndcg)), "shared": float(np.mean(shared))}


if __name__ == "__main__":
    main()
