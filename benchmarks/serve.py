"""How the service does beside what one would use instead: each ratio is taken within one run.

    python benchmarks/serve.py PART --work FOLDER --data DIR [--documents N] [--sentences] [--seconds S]

PART is one of
    search     /v1/search at 1, 8 and 32 clients, without batching too; beside encoder and index called in one process
    shadow     the same at half of one client's rate, with a candidate in the shadow (share 0.2) and without, in turn
    swap       8 clients through promotions and rollbacks between two spaces, one a second; memory before and after
    embed      /v1/embeddings at 1 and 32 clients beside a bare FastAPI that calls SentenceTransformer.encode
    soak       --seconds at 80 % of the measured capacity: memory, files and threads at each tenth of them
--data is a folder in BEIR layout; its dev queries are asked. With --sentences the documents are the distinct sentences
of its documents, 4 to 30 words each: 100,000 real texts in minutes (medquad has as many). Each part prints a table and
leaves FOLDER/PART.json.
Server and clients share the machine's cores: another busy process distorts the ratios less than the times, but does.
"""

import argparse
import asyncio
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import nearer
from nearer.encode.chunk import sentences
from nearer.flows.shadow import start_shadow, stop_shadow
from nearer.printing.progress import ConsoleProgress
from nearer.retrieval.index import open_index
from nearer.systems import open_system
from nearer.web.run import set_threads

SEED = 0
CLIENTS = (1, 8, 32)
SHARE = 0.2
BARE = """
import sys, uvicorn, torch
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer
torch.set_num_threads(int(sys.argv[3]))
app, model = FastAPI(), SentenceTransformer(sys.argv[1])
class Asked(BaseModel):
    input: str
@app.post("/v1/embeddings")
def embed(asked: Asked):
    return {"data": [{"embedding": model.encode(asked.input, normalize_embeddings=True).tolist()}]}
@app.get("/readyz")
def ready():
    return {}
uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
"""


def main() -> None:
    """Run one part and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--sentences", action="store_true")
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    folder = workspace_of(arguments)
    with nearer.Workspace.open(folder) as workspace:
        asked = workspace.collection.queries("dev") or workspace.collection.queries()
        texts = [query.text for query in asked]
        num_documents = workspace.collection.counts()["documents"]
    result = {
        "part": arguments.part,
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "data": arguments.data.name + (", its sentences" if arguments.sentences else ""),
        "num_documents": num_documents,
        "num_queries": len(texts),
        "seconds": arguments.seconds,
        **PARTS[arguments.part](folder, texts, arguments.seconds),
    }
    (arguments.work / f"{arguments.part}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def workspace_of(arguments: argparse.Namespace) -> Path:
    """A workspace with the first documents of the set, in which the base is live; made once."""
    kind = "sentences" if arguments.sentences else arguments.data.name
    folder: Path = arguments.work / f"{kind}-{arguments.documents}"
    if (folder / "made").exists():
        with nearer.Workspace.open(folder) as workspace:
            _have_base_live(workspace)
        return folder
    with nearer.Workspace.init(folder) as workspace:
        if arguments.sentences:
            _add_sentences(workspace, arguments.data, num=arguments.documents)
        else:
            _add_first(workspace, arguments.data, num=arguments.documents)
        nearer.promote(workspace, "base", progress=ConsoleProgress())
    (folder / "made").touch()
    return folder


def _add_first(workspace: nearer.Workspace, data: Path, *, num: int) -> None:
    """The judged documents of dev, and as many others as there is room for."""
    nearer.add(workspace, "beir", data, skip_bad=True, progress=ConsoleProgress())
    judged = {each.doc_id for each in workspace.collection.judgments("dev")}
    others = [each for each in workspace.collection.document_hashes() if each not in judged]
    if extra := others[max(0, num - len(judged)) :]:
        nearer.remove(workspace, extra)


def _add_sentences(workspace: nearer.Workspace, data: Path, *, num: int) -> None:
    """The first distinct sentences of the set's documents, and the queries of dev; nobody has judged them."""
    with (data / "qrels" / "dev.tsv").open(encoding="utf-8") as rows:
        asked = {row.split("\t")[0] for row in rows}
    found: dict[str, str] = {}
    for document in _rows(data / "corpus.jsonl"):
        for sentence in sentences(document["text"]):
            if 4 <= len(sentence.split()) <= 30 and len(found) < num:
                found.setdefault(sentence.lower(), sentence)
    if len(found) < num:
        raise SystemExit(f"{data} has {len(found)} sentences")
    documents = [{"_id": f"s{place}", "text": text} for place, text in enumerate(found.values())]
    for kind, kept in (
        ("corpus", documents),
        ("queries", [q for q in _rows(data / "queries.jsonl") if q["_id"] in asked]),
    ):
        path = workspace.folder / f"{kind}.jsonl"
        path.write_text("".join(json.dumps(each) + "\n" for each in kept), encoding="utf-8")
        nearer.add(workspace, kind, path, progress=ConsoleProgress())


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _have_base_live(workspace: nearer.Workspace) -> None:
    """Undo what an earlier run left live that was cut short."""
    live = workspace.registry.live()
    base = open_system(workspace, "base")
    if live is None or not base.is_released_as(live):
        nearer.promote(workspace, "base", force_reason="a benchmark")


def search(folder: Path, texts: Sequence[str], seconds: float) -> dict[str, Any]:
    """Search at several numbers of clients, with batching and without, and in one process."""
    bodies = [{"query": text, "k": 10} for text in texts]
    direct_ms = _direct(folder, texts, seconds)
    with served(folder) as port:
        together = {n: load(port, "/v1/search", bodies, clients=n, seconds=seconds) for n in CLIENTS}
    with served(folder, batch=1) as port:
        alone = {n: load(port, "/v1/search", bodies, clients=n, seconds=seconds) for n in CLIENTS[1:]}
    return {
        "in_one_process_ms": direct_ms,
        "clients": together,
        "clients_without_batching": alone,
        "overhead_p50_ms": together[1]["p50_ms"] - direct_ms["p50_ms"],
        "overhead_p50": together[1]["p50_ms"] / direct_ms["p50_ms"] - 1,
        "batching_gains": {n: together[n]["per_second"] / alone[n]["per_second"] for n in CLIENTS[1:]},
    }


def shadow(folder: Path, texts: Sequence[str], seconds: float) -> dict[str, Any]:
    """Latency of live with a candidate in the shadow and without, several times in turn, at a rate that is no load."""
    bodies = [{"query": text, "k": 10} for text in texts]
    turns: dict[str, list[dict[str, float]]] = {"without": [], "with": []}
    with served(folder) as port:
        alone = load(port, "/v1/search", bodies, clients=1, seconds=seconds)
        every_s = 2 / alone["per_second"]
        for _ in range(5):
            turns["without"].append(load(port, "/v1/search", bodies, clients=1, seconds=seconds, every_s=every_s))
            with nearer.Workspace.open(folder) as workspace:
                start_shadow(workspace, "hybrid", share=SHARE)
                time.sleep(3)  # until the service has opened it
                turns["with"].append(load(port, "/v1/search", bodies, clients=1, seconds=seconds, every_s=every_s))
                time.sleep(2)
                told = stop_shadow(workspace)
                time.sleep(1)
    medians = {name: {key: float(np.median([each[key] for each in of])) for key in of[0]} for name, of in turns.items()}
    return {
        "share": SHARE,
        **medians,
        "p95_ratio": medians["with"]["p95_ms"] / medians["without"]["p95_ms"],
        "last_shadow": {
            "num_offered": told.num_offered,
            "num_dropped": told.num_dropped,
            "num_failed": told.num_failed,
        },
    }


def swap(folder: Path, texts: Sequence[str], seconds: float) -> dict[str, Any]:
    """Eight clients while live is another release every second, of another space; none of their requests may fail."""
    bodies = [{"query": text, "k": 10} for text in texts]
    with nearer.Workspace.open(folder) as workspace:
        first, second = _two_releases(workspace)
        with served(folder, tell=True) as (port, process):
            still = load(port, "/v1/search", bodies, clients=8, seconds=seconds)
            moves: list[str] = []

            def move() -> None:
                if workspace.registry.live_id() == first:
                    moves.append(str(nearer.promote(workspace, second).release_id))
                else:
                    moves.append(nearer.rollback(workspace).release_id)

            move()  # both were opened once before memory is compared
            load(port, "/v1/search", bodies, clients=8, seconds=2)
            before = _resources(process.pid)
            moving = load(port, "/v1/search", bodies, clients=8, seconds=seconds, meanwhile=move)
            if len(moves) % 2:
                move()
            load(port, "/v1/search", bodies, clients=8, seconds=2)
            after = _resources(process.pid)
    return {
        "still": still,
        "moving": moving,
        "p95_ratio": moving["p95_ms"] / still["p95_ms"],
        "num_moves": len(moves),
        "before": before,
        "after": after,
    }


def _two_releases(workspace: nearer.Workspace) -> tuple[str, str]:
    """A release that is live, and one of another space that was: the base, and the same with half its dimensions."""
    other = nearer.compress(workspace, "base", dimension=192).model_id
    first = str(workspace.registry.live_id())
    second = str(nearer.promote(workspace, other, force_reason="a benchmark").release_id)
    nearer.rollback(workspace)
    return first, second


def embed(folder: Path, texts: Sequence[str], seconds: float) -> dict[str, Any]:
    """Embeddings one text a request, beside a bare service of the same model and threads."""
    bodies = [{"input": text} for text in texts]
    with served(folder) as port:
        ours = {n: load(port, "/v1/embeddings", bodies, clients=n, seconds=seconds) for n in (1, 32)}
    source = folder.with_name(f"{folder.name}-base")
    if not source.exists():
        with nearer.Workspace.open(folder) as workspace:
            nearer.export_model(workspace, source, system="base")
    with running([sys.executable, "-c", BARE, str(source), str(_free_port()), str(_cores())], port_in=4) as port:
        bare = {n: load(port, "/v1/embeddings", bodies, clients=n, seconds=seconds) for n in (1, 32)}
    return {
        "ours": ours,
        "bare": bare,
        "ratio": {n: ours[n]["per_second"] / bare[n]["per_second"] for n in (1, 32)},
    }


def soak(folder: Path, texts: Sequence[str], seconds: float) -> dict[str, Any]:
    """Memory, open files and threads of the service at each tenth of ``seconds`` at 80 % of its capacity."""
    bodies = [{"query": text, "k": 10} for text in texts]
    with served(folder, tell=True) as (port, process):
        capacity = load(port, "/v1/search", bodies, clients=8, seconds=10)["per_second"]
        every_s = 8 / (0.8 * capacity)
        load(port, "/v1/search", bodies, clients=8, seconds=10, every_s=every_s)
        resources, loads = [_resources(process.pid)], []
        for _ in range(10):
            loads.append(load(port, "/v1/search", bodies, clients=8, seconds=seconds / 10, every_s=every_s))
            resources.append(_resources(process.pid))
    return {
        "capacity_per_second": capacity,
        "num": sum(each["num"] for each in loads),
        "num_failed": sum(each["num_failed"] for each in loads),
        "p95_ms": [each["p95_ms"] for each in loads],
        "resources": resources,
    }


PARTS: dict[str, Callable[[Path, Sequence[str], float], dict[str, Any]]] = {
    "search": search,
    "shadow": shadow,
    "swap": swap,
    "embed": embed,
    "soak": soak,
}


def _direct(folder: Path, texts: Sequence[str], seconds: float) -> dict[str, float]:
    """The encoder, the index and the documents, called one query after another in this process."""
    set_threads(1)  # as the service has them
    took: list[float] = []
    with nearer.Workspace.open(folder) as workspace:
        system = open_system(workspace, "live")
        space_id = system.encoder.space_id
        index = open_index(workspace.indexes / space_id, space_id=space_id)
        until = time.monotonic() + seconds
        for number in range(10**9):
            start = time.perf_counter()
            vector_1D = system.encoder.encode_queries([texts[number % len(texts)]])
            [found] = index.search(vector_1D, space_id=space_id, k=10)
            workspace.collection.documents([doc_id for doc_id, _ in found])
            took.append(time.perf_counter() - start)
            if time.monotonic() > until:
                return _told(took, seconds)
    raise AssertionError


@contextmanager
def served(folder: Path, *, batch: int = 64, tell: bool = False) -> Iterator[Any]:
    """``nearer serve`` in a process of its own, on a free port, ready."""
    code = (
        "import sys; from pathlib import Path; from nearer.store.workspace import Workspace\n"
        "from nearer.web.run import serve; from nearer.web.limits import Limits\n"
        "with Workspace.open(Path(sys.argv[1])) as workspace:\n"
        "    serve(workspace, port=int(sys.argv[2]), limits=Limits(encode_batch=int(sys.argv[3])))"
    )
    with running(
        [sys.executable, "-c", code, str(folder), str(_free_port()), str(batch)], port_in=4, tell=tell
    ) as found:
        yield found


@contextmanager
def running(command: list[str], *, port_in: int, tell: bool = False) -> Iterator[Any]:
    """A server that is ready, and ends after the block; its port is an argument of the command."""
    port = int(command[port_in])
    process = subprocess.Popen(command)
    try:
        until = time.monotonic() + 120
        while not _is_ready(port):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit("the server did not start")
            time.sleep(0.2)
        yield (port, process) if tell else port
    finally:
        process.terminate()
        process.wait(60)


def load(
    port: int,
    path: str,
    bodies: Sequence[dict[str, Any]],
    *,
    clients: int,
    seconds: float,
    every_s: float = 0.0,
    meanwhile: Callable[[], None] | None = None,
) -> dict[str, float]:
    """Clients that ask one request after another, or one every ``every_s`` each; ``meanwhile`` is done every second."""
    return asyncio.run(_load(port, path, bodies, clients, seconds, every_s, meanwhile))


async def _load(
    port: int,
    path: str,
    bodies: Sequence[dict[str, Any]],
    clients: int,
    seconds: float,
    every_s: float,
    meanwhile: Callable[[], None] | None,
) -> dict[str, float]:
    took: list[float] = []
    failed = 0
    warm_until = time.monotonic() + min(1.0, seconds / 5)
    until = warm_until + seconds

    async def client(number: int) -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(number * every_s / clients)
        turn = number
        while time.monotonic() < until:
            start = time.perf_counter()
            is_ok = await _asked(reader, writer, path, bodies[turn % len(bodies)])
            if time.monotonic() > warm_until:
                took.append(time.perf_counter() - start)
                failed += not is_ok
            turn += clients
            await asyncio.sleep(max(0.0, every_s - (time.perf_counter() - start)))
        writer.close()

    async def mover() -> None:
        while meanwhile and time.monotonic() < until:
            await asyncio.to_thread(meanwhile)
            await asyncio.sleep(1)

    await asyncio.gather(mover(), *(client(number) for number in range(clients)))
    return {**_told(took, seconds), "num_failed": failed}


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: dict[str, Any]) -> bool:
    data = json.dumps(body).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(data)}",
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode() + data)
    answered = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    [length] = [line.partition(":")[2] for line in answered.split("\r\n") if line.startswith("content-length:")]
    await reader.readexactly(int(length))
    return " 200 " in answered.split("\r\n", 1)[0]


def _told(took_s: Sequence[float], seconds: float) -> dict[str, float]:
    p50, p95, p99 = (1000 * np.quantile(took_s, [0.5, 0.95, 0.99])).tolist()
    return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "per_second": len(took_s) / seconds, "num": len(took_s)}


def _is_ready(port: int) -> bool:
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _cores() -> int:
    return int(os.environ.get("OMP_NUM_THREADS", 0)) or len(os.sched_getaffinity(0))


def _resources(pid: int) -> dict[str, int]:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    [rss] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")]
    return {
        "rss_kb": rss,
        "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
    }


if __name__ == "__main__":
    main()
