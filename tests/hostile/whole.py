"""A workspace that is whole, with its base live: what hostile files are given to, and what is copied to be damaged."""

import json
from pathlib import Path

from hostile.model import WORDS, write_model
from nearer.flows.add import add
from nearer.flows.promote import promote
from nearer.store.workspace import Workspace

NUM_DOCUMENTS = 8


def write_whole(folder: Path) -> Path:
    """A workspace in ``folder/whole`` with a model, documents, queries and judgments of its own."""
    write_model(folder / "whole-model")
    write_beir(folder / "whole-beir")
    workspace = Workspace.init(
        folder / "whole",
        recipe={"encoder": {"model": str(folder / "whole-model")}, "evaluate": {"num_resamples": 100}},
    )
    try:
        add(workspace, "beir", folder / "whole-beir")
        promote(workspace, "base")
    finally:
        workspace.close()
    return folder / "whole"


def write_beir(folder: Path) -> None:
    """Documents d0 to d7, queries q0 to q7, and a judgment on each in dev and test."""
    (folder / "qrels").mkdir(parents=True)
    numbers = range(NUM_DOCUMENTS)
    texts = [" ".join(WORDS[(3 * n + k) % len(WORDS)] for k in range(4)) for n in numbers]
    write_rows(folder / "corpus.jsonl", [{"_id": f"d{n}", "text": texts[n]} for n in numbers])
    write_rows(folder / "queries.jsonl", [{"_id": f"q{n}", "text": texts[n].split()[n % 4]} for n in numbers])
    for split in ("dev", "test"):
        rows = [f"q{n}\td{n}\t1\n" for n in numbers if (split == "test") is (n > 1)]
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(rows))


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    """Rows as JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
