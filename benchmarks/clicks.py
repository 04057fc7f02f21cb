"""Measure how long a million rows of a click log take to be imported, counted and judged.

``python benchmarks/clicks.py``. The log is drawn with a seed: 100,000 answers of ten documents, Zipf queries,
users who look at rank k with a chance of 1/k, neighbours swapped in 30 % of the answers.
"""

import csv
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TypeVar

import numpy as np

from nearer.core.records import Document
from nearer.flows.add import add
from nearer.flows.events import event_counts
from nearer.flows.judge_clicks import judge_clicks
from nearer.store.changing import put_documents
from nearer.store.workspace import Workspace

T = TypeVar("T")
SEED, ANSWERS, RANKS, QUERIES, DOCUMENTS, USERS = 0, 100_000, 10, 2_000, 5_000, 20_000
START = 1_767_225_600
"""2026-01-01, in seconds since 1970."""


def write_log(path: Path) -> None:
    """Write the log: a row for every document shown."""
    rng = np.random.default_rng(SEED)
    query_L = rng.zipf(1.3, ANSWERS) % QUERIES
    documents_QR = rng.integers(0, DOCUMENTS, (QUERIES, RANKS))
    attract_QR = rng.beta(1, 3, (QUERIES, RANKS))
    order_LR = np.tile(np.arange(RANKS), (ANSWERS, 1))
    swapped_L = np.flatnonzero(rng.random(ANSWERS) < 0.3)
    at_L = rng.integers(0, RANKS - 1, len(swapped_L))
    order_LR[swapped_L, at_L], order_LR[swapped_L, at_L + 1] = at_L + 1, at_L
    clicked_LR = rng.random(order_LR.shape) < attract_QR[query_L[:, None], order_LR] / np.arange(1, RANKS + 1)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["session", "query", "doc", "position", "clicked", "user", "time"])
        for number, query in enumerate(query_L.tolist()):
            for rank in range(RANKS):
                clicked, doc = int(clicked_LR[number, rank]), documents_QR[query, order_LR[number, rank]]
                at = START + 30 * number + clicked * (rank + 1)
                text = f"query number {query} of the log"
                writer.writerow([f"s{number}", text, f"d{doc}", rank + 1, clicked, f"u{number % USERS}", at])


def timed(name: str, work: Callable[[], T]) -> T:
    """What ``work`` returns, with its time and the peak of memory so far printed."""
    start = time.perf_counter()
    found = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{name}: {time.perf_counter() - start:.1f} s, {peak:.2f} GiB at most so far", flush=True)
    return found


def main() -> None:
    """Import, count and judge."""
    print(f"{platform.machine()}, Python {platform.python_version()}, seed {SEED}, {date.today()}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.csv"
        write_log(log)
        with Workspace.init(Path(folder) / "workspace") as workspace:
            with workspace.write("benchmark") as connection:
                put_documents(connection, [Document(doc_id=f"d{n}", text=f"text {n}") for n in range(DOCUMENTS)])
            done = timed(f"import of {ANSWERS * RANKS:,} rows", lambda: add(workspace, "events", log))
            timed("nearer events", lambda: event_counts(workspace))
            judged = timed("nearer clicks judge", lambda: judge_clicks(workspace))
        print(f"{done.changes['events'].num_added:,} clicks, {judged.num_judgments:,} judgments by {judged.model}")


if __name__ == "__main__":
    sys.exit(main())
