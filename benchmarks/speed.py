"""How fast Nearer's parts are beside what one would use instead: each ratio is taken within one run.

    python benchmarks/speed.py PART --work FOLDER [--data DIR] [--runs N]

PART is one of
    evaluate   top-k, graded metrics, per-query values and intervals against InformationRetrievalEvaluator
    encode     our encoder against the model's own encode() with its defaults, on texts of mixed lengths
    mine       our mining against mine_hard_negatives, same model and texts; and its memory at 100,000 documents
    train      two epochs of our training against SentenceTransformerTrainer, same pairs, batch size and rate; memory
    whole      `nearer train` as it comes, with nothing encoded yet and once more, against a script of 20 lines that
               trains on the same pairs for the same passes, with mine_hard_negatives before the second
    import     a million JSONL documents: rows a second and peak memory
    update     1 % of the documents changed against building everything, through `nearer index`
--data is a folder in BEIR layout, for the parts that need real text (encode, mine, train, update). Each part prints a
table and leaves FOLDER/PART.json. Run it alone: another busy process distorts the ratios less than the times, but does.
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nearer
from nearer.core.arrays import Floats32
from nearer.core.progress import Silent
from nearer.core.records import Judgment
from nearer.core.results.training import DevPoint
from nearer.core.sections import EvaluateRecipe, TrainRecipe
from nearer.encode.cache import EmbeddingCache
from nearer.encode.embedded import EmbeddedCorpus
from nearer.encode.encoder import Encoder
from nearer.learn.checkpoint import Checkpoints
from nearer.learn.examples import Example
from nearer.learn.fit import Sides, fit
from nearer.measure.metrics import Measure, Qrels, score
from nearer.measure.significance import mean_intervals
from nearer.printing.progress import ConsoleProgress
from nearer.systems import open_local
from nearer.training.examples import find_excluded, read_examples
from nearer.training.mining import mine_negatives
from nearer.vectors.topk import top_k
from stock import fit_stock

SEED = 0


def main() -> None:
    """Run one part and print its table."""
    arguments = parse_arguments()
    arguments.work.mkdir(parents=True, exist_ok=True)
    result = {
        "part": arguments.part,
        "date": datetime.date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "seed": SEED,
        **PARTS[arguments.part](arguments),
    }
    (arguments.work / f"{arguments.part}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=list(PARTS))
    parser.add_argument("--work", type=Path, required=True, help="where results and temporary workspaces go")
    parser.add_argument("--data", type=Path, help="a folder in BEIR layout")
    parser.add_argument("--runs", type=int, default=3, help="each side runs so often, in turns; the least time counts")
    parser.add_argument("--documents", type=int, help="of the part, where it can be less than the default")
    return parser.parse_args()


def in_turns(runs: int, sides: dict[str, Callable[[], object]]) -> dict[str, Any]:
    """The least seconds of each side, run alternately, and the first side's time divided by the second's."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(runs):
        for name, run in sides.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    least = {f"{name}_s": round(min(values), 2) for name, values in seconds.items()}
    ours, theirs = (min(values) for values in seconds.values())
    all_runs = {f"{name}_runs_s": [round(each, 2) for each in values] for name, values in seconds.items()}
    return {**least, "ratio": round(ours / theirs, 3), **all_runs}


def peak_bytes(code: str, *arguments: str) -> tuple[int, float]:
    """The peak resident memory of a Python process that runs ``code``, and its seconds.

    The process reads its own peak when it ends: what ``wait4`` tells is at least the memory of the process that
    started it.
    """
    began = time.perf_counter()
    told = subprocess.run([sys.executable, "-c", TELL_PEAK + code, *arguments], stdout=subprocess.PIPE, check=True)
    return int(told.stdout.split()[-1]) * 1024, time.perf_counter() - began


TELL_PEAK = """
import atexit, re
from pathlib import Path
atexit.register(lambda: print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]))
"""


def evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    """From ready vectors to metrics: 10,000 queries x 20,000 documents, 3 judgments a query."""
    import torch
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    num_queries, num_documents, dimension = 10_000, arguments.documents or 20_000, 384
    rng = np.random.default_rng(SEED)
    docs_ND = unit(rng.standard_normal((num_documents, dimension)))
    relevant_QJ = rng.integers(0, num_documents, (num_queries, 3))
    queries_QD = unit(docs_ND[relevant_QJ[:, 0]] + 0.25 * rng.standard_normal((num_queries, dimension)))
    query_ids = [f"q{row:05d}" for row in range(num_queries)]
    doc_ids = [f"d{row:05d}" for row in range(num_documents)]
    judgments = [
        Judgment(query_id=query_ids[row], doc_id=doc_ids[doc], grade=grade)
        for row in range(num_queries)
        for doc, grade in zip(dict.fromkeys(relevant_QJ[row].tolist()), (4, 3, 2), strict=False)
    ]
    recipe = EvaluateRecipe()
    measures = [Measure.parse(name) for name in recipe.measures]
    found: dict[str, float] = {}

    def ours() -> None:
        ranked = top_k(queries_QD, docs_ND, k=recipe.depth)
        qrels = Qrels.build(query_ids, doc_ids, judgments, relevant_from=2)
        values = score(measures, ranked.rows_QK, qrels)
        intervals = mean_intervals(np.stack(list(values.values()), axis=1))
        found["ours"] = dict(zip(values, intervals, strict=True))[Measure.parse("MRR@10")].value

    relevant: dict[str, set[str]] = {}
    for judgment in judgments:
        relevant.setdefault(judgment.query_id, set()).add(judgment.doc_id)
    evaluator = InformationRetrievalEvaluator(
        dict.fromkeys(query_ids, ""),
        dict.fromkeys(doc_ids, ""),
        relevant,
        score_functions={"dot": lambda a, b: a @ b.T},
        show_progress_bar=False,
        write_csv=False,
    )
    evaluator.embed_inputs = lambda *_, **__: torch.from_numpy(queries_QD)
    ready = torch.from_numpy(docs_ND)

    def theirs() -> None:
        scores = evaluator.compute_all_metrics(None, corpus_embeddings=ready)
        found["theirs"] = scores["dot"]["mrr@k"][10]

    timed = in_turns(arguments.runs, {"ours": ours, "theirs": theirs})
    began = time.perf_counter()
    _ = queries_QD @ docs_ND.T
    return {
        "against": "InformationRetrievalEvaluator with its default metrics, from ready vectors",
        "num_queries": num_queries,
        "num_documents": num_documents,
        **timed,
        "product_alone_s": round(time.perf_counter() - began, 2),
        "check_mrr_at_10": found,
    }


def unit(emb_ND: NDArray[np.floating[Any]]) -> Floats32:
    """Rows of length 1."""
    scaled: Floats32 = (emb_ND / np.linalg.norm(emb_ND, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def encode(arguments: argparse.Namespace) -> dict[str, Any]:
    """Texts of mixed lengths, in the order they come: titles, sentences and whole documents."""
    texts = mixed_texts(arguments, number=arguments.documents or 1500)
    encoder = Encoder.load("all-MiniLM-L6-v2")
    tokens = encoder.count_tokens(texts)
    made: dict[str, Floats32] = {}

    def ours() -> None:
        with workspace_cache(arguments.work / "encode", encoder) as cache:
            made["ours"], _ = cache.vectors(texts, encode=encoder.encode_documents, progress=Silent(), label="")

    def theirs() -> None:
        made["theirs"] = encoder.model.encode(texts, normalize_embeddings=True)

    timed = in_turns(arguments.runs, {"ours": ours, "theirs": theirs})
    return {
        "against": "SentenceTransformer.encode with its defaults; ours includes writing the cache",
        "num_texts": len(texts),
        "tokens_quartiles": np.percentile(tokens, [0, 25, 50, 75, 100]).tolist(),
        **timed,
        "largest_difference": float(np.abs(made["ours"] - made["theirs"]).max()),
    }


def mixed_texts(arguments: argparse.Namespace, *, number: int) -> list[str]:
    """A third each of titles or first words, first sentences, and whole documents, shuffled."""
    texts = [document["text"] for document in read_corpus_file(arguments, number=number)]
    cut = [text[:40] if row % 3 == 0 else text[:200] if row % 3 == 1 else text for row, text in enumerate(texts)]
    order = np.random.default_rng(SEED).permutation(len(cut))
    return list(dict.fromkeys(cut[row] for row in order))


def read_corpus_file(arguments: argparse.Namespace, *, number: int) -> list[dict[str, Any]]:
    """The first documents of the BEIR folder."""
    if arguments.data is None:
        raise SystemExit(f"{arguments.part} needs --data DIR")
    with (arguments.data / "corpus.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(number), strict=False)]


@contextmanager
def workspace_cache(folder: Path, encoder: Encoder) -> Iterator[EmbeddingCache]:
    """An empty cache, removed afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    with EmbeddingCache(folder, encoder_id=encoder.encoder_id, kind="documents", dimension=encoder.dimension) as cache:
        yield cache
    shutil.rmtree(folder)


def mine(arguments: argparse.Namespace) -> dict[str, Any]:
    """2,000 pairs against 5,900 documents, encoding included; memory with 100,000 documents and a trivial encoder."""
    from datasets import Dataset
    from sentence_transformers.util import mine_hard_negatives

    workspace = beir_workspace(arguments, num_documents=arguments.documents or 5900)
    base = open_local(workspace, "base")
    embedded = EmbeddedCorpus.read(workspace, base.encoder, progress=ConsoleProgress())
    examples, corpus = training_examples(embedded, number=2000), embedded.corpus

    def ours() -> None:
        mine_negatives(workspace, base.encoder, corpus, examples, progress=Silent())

    pairs = Dataset.from_dict({"query": [e.anchor for e in examples], "answer": [e.positive for e in examples]})

    def theirs() -> None:
        mine_hard_negatives(pairs, base.encoder.model, corpus=list(corpus.passages), num_negatives=1, verbose=False)

    timed = in_turns(arguments.runs, {"ours": ours, "theirs": theirs})
    peaks = {}
    for number in (1000, 100_000):
        peaks[f"peak_bytes_{number}"], _ = peak_bytes(MEMORY_OF_MINING, str(number))
    return {
        "against": "mine_hard_negatives with its defaults and 1 negative",
        "num_pairs": len(examples),
        "num_documents": len(corpus.documents),
        **timed,
        **peaks,
        "vectors_bytes_100000": 100_000 * 384 * 4,
    }


MEMORY_OF_MINING = """
import sys
import numpy as np
import nearer.training.mining as mining
from nearer.core.progress import Silent
from nearer.core.recipe import Recipe
from nearer.encode.corpus import Corpus
from nearer.core.records import Document
from nearer.core.results.training import DevPoint
from nearer.learn.checkpoint import Checkpoints
from nearer.learn.examples import Example
from nearer.learn.fit import Sides, fit

class Trivial:
    dimension = 384
    def encode_documents(self, texts):
        rows = np.frombuffer("".join(t[:8].ljust(8) for t in texts).encode("latin1"), np.uint8).reshape(len(texts), 8)
        vectors = np.random.default_rng(int(rows.sum())).standard_normal((len(texts), 384), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    encode_queries = encode_documents

class Workspace:
    recipe = Recipe()

number = int(sys.argv[1])
texts = tuple(f"{row:08d} " + "text of a document " * 30 for row in range(number))
documents = tuple(Document(doc_id=f"d{row}", text=text) for row, text in enumerate(texts))
corpus = Corpus(documents=documents, passages=texts, starts_N=np.arange(number), chunking="whole documents")
positives = [texts[row % number] for row in range(2000)]
examples = [Example(anchor=f"query {text}", positive=text, masked=frozenset(), negatives=()) for text in positives]
mining.mine_negatives(Workspace(), Trivial(), corpus, examples, progress=Silent())
"""


def train(arguments: argparse.Namespace) -> dict[str, Any]:
    """Two epochs of 256 pairs on each side, and the loss of 64 other pairs after it; peak memory of a process each."""
    number = arguments.documents or 2500
    workspace = beir_workspace(arguments, num_documents=number)
    base = open_local(workspace, "base")
    examples = training_examples(EmbeddedCorpus.read(workspace, base.encoder, progress=ConsoleProgress()), number=320)
    pairs = [(each.anchor, each.positive) for each in examples]
    workspace.close()
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in TRAININGS}
    for _ in range(arguments.runs):
        for name, found in runs.items():
            found.append(train_once(name, pairs))
    seconds = {name: min(each for each, _ in found) for name, found in runs.items()}
    (arguments.work / "pairs.json").write_text(json.dumps(pairs), encoding="utf-8")
    here = str(Path(__file__).parent)
    peaks = {
        f"{name}_peak_bytes": peak_bytes(TRAIN_ALONE, here, name, str(arguments.work / "pairs.json"))[0]
        for name in TRAININGS
    }
    lengths = base.encoder.count_tokens([positive for _, positive in pairs])
    return {
        "against": "SentenceTransformerTrainer with MultipleNegativesRankingLoss",
        "num_pairs": 2 * NUM_TRAINED,
        "mean_tokens_of_positives": round(float(np.minimum(lengths, 128).mean()), 1),
        **{f"{name}_s": round(value, 2) for name, value in seconds.items()},
        **{f"{name}_pairs_per_s": round(2 * NUM_TRAINED / value, 1) for name, value in seconds.items()},
        **{f"{name}_speedup": round(seconds["stock"] / value, 2) for name, value in seconds.items()},
        **{f"{name}_runs_s": [round(each, 2) for each, _ in found] for name, found in runs.items()},
        **{f"{name}_loss_of_others": round(found[0][1], 4) for name, found in runs.items()},
        **peaks,
    }


def whole(arguments: argparse.Namespace) -> dict[str, Any]:
    """All that `nearer train` does beside what a script does that only trains: the same pairs, passes and mining."""
    workspace = beir_workspace(arguments, num_documents=arguments.documents or 600)
    base = open_local(workspace, "base")
    embedded = EmbeddedCorpus.read(workspace, base.encoder, progress=ConsoleProgress())
    pairs, corpus = [(e.anchor, e.positive) for e in training_examples(embedded, number=10**6)], embedded.corpus
    found: dict[str, Any] = {}

    def cold() -> None:
        for path in workspace.embeddings.iterdir():
            path.unlink()
        found.update(nearer.train(workspace, progress=ConsoleProgress()))

    def warm() -> None:
        nearer.train(workspace, progress=ConsoleProgress())

    sides = {"cold": cold, "warm": warm, "script": lambda: script(pairs, corpus.passages)}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(arguments.runs):
        for name, run in sides.items():
            began = time.perf_counter()
            run()
            seconds[name].append(round(time.perf_counter() - began, 2))
    least = {name: min(each) for name, each in seconds.items()}
    return {
        "num_pairs": len(pairs),
        "num_passages": len(corpus.passages),
        "passes": workspace.recipe.train.passes,
        "dev": {"start": found["dev"]["start"], "best": found["dev"]["best"], "queries": found["dev"]["num_queries"]},
        **{f"{name}_runs_s": each for name, each in seconds.items()},
        **{f"{name}_ratio": round(least[name] / least["script"], 3) for name in ("cold", "warm")},
    }


def script(pairs: Sequence[tuple[str, str]], passages: Sequence[str]) -> None:
    """What a script does that trains a pass, mines, and trains another; nothing is measured, nothing is kept."""
    from datasets import Dataset
    from sentence_transformers.util import mine_hard_negatives

    model = Encoder.load("all-MiniLM-L6-v2", max_seq_length=128).model
    rows = {"anchor": [pair[0] for pair in pairs], "positive": [pair[1] for pair in pairs]}
    fit_stock(model, rows, rate=TrainRecipe().learning_rate, epochs=1, seed=SEED)
    data = Dataset.from_dict(rows)
    mined = mine_hard_negatives(data, model, corpus=list(passages), num_negatives=1, verbose=False).to_dict()
    triplets = {name: list(mined[name]) for name in ("anchor", "positive", "negative")}
    fit_stock(model, triplets, rate=TrainRecipe().learning_rate, epochs=1, seed=SEED)


TRAIN_ALONE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import speed
speed.train_once(sys.argv[2], json.load(open(sys.argv[3])))
"""
NUM_TRAINED = 256
TRAININGS: dict[str, dict[str, Any]] = {
    "ours": {},
    "ours_with_dropout": {"dropout": "model"},
    "ours_three_layers_frozen": {"freeze_layers": 3},
    "ours_in_bfloat16": {"precision": "bfloat16"},
    "stock": {},
    "stock_in_bfloat16": {"bf16": True},
}


def train_once(side: str, pairs: list[tuple[str, str]]) -> tuple[float, float]:
    """Train a fresh base on the first pairs: the seconds of that, and the loss of the others by the stock loss."""
    import torch
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    encoder = Encoder.load("all-MiniLM-L6-v2", max_seq_length=128)
    trained, others = pairs[:NUM_TRAINED], pairs[NUM_TRAINED:]
    began = time.perf_counter()
    if side.startswith("stock"):
        rows = {"anchor": [pair[0] for pair in trained], "positive": [pair[1] for pair in trained]}
        fit_stock(encoder.model, rows, rate=TrainRecipe().learning_rate, epochs=2, seed=SEED, **TRAININGS[side])
    else:
        train_ours(encoder.model, trained, TRAININGS[side])
    seconds = time.perf_counter() - began
    encoder.model.eval()
    columns = [encoder.model.preprocess([pair[place] for pair in others]) for place in (0, 1)]
    with torch.no_grad():
        return seconds, float(MultipleNegativesRankingLoss(encoder.model)(columns, torch.tensor([])))


def train_ours(model: Any, pairs: Sequence[tuple[str, str]], options: dict[str, Any]) -> None:
    """Our pass of two epochs, dev not measured."""
    examples = [Example(anchor=anchor, positive=positive) for anchor, positive in pairs]
    with tempfile.TemporaryDirectory() as folder:
        fit(
            model,
            examples,
            recipe=TrainRecipe(**{"epochs": 2, "evals_per_pass": 1, "seed": SEED, **options}),
            sides=Sides(query="", document=""),
            measure=lambda step: DevPoint(step=step, value=float(step)),
            checkpoints=Checkpoints(Path(folder), start=None),
            progress=Silent(),
        )


def training_examples(embedded: EmbeddedCorpus, *, number: int) -> list[Example]:
    """The first examples as training would make them."""
    return read_examples(embedded, excluded=find_excluded(embedded.workspace))[:number]


def beir_workspace(arguments: argparse.Namespace, *, num_documents: int) -> nearer.Workspace:
    """A fresh workspace of the training queries of a BEIR folder, their documents, and others up to a number."""
    folder = arguments.work / arguments.part
    shutil.rmtree(folder, ignore_errors=True)
    workspace = nearer.Workspace.init(folder, recipe={"chunk": {"enabled": False}, "encoder": {"max_seq_length": 128}})
    source = subset(arguments.data, folder / "data", num_documents=num_documents)
    nearer.add(workspace, "beir", source)
    return workspace


def subset(data: Path, folder: Path, *, num_documents: int) -> Path:
    """The first judgments of the training split that the number of documents has room for, and their files."""
    (folder / "qrels").mkdir(parents=True)
    judged: dict[str, list[str]] = {}
    with (data / "qrels" / "train.tsv").open(encoding="utf-8") as lines:
        for line in list(lines)[1:]:
            _, doc_id, _ = line.rstrip("\n").split("\t")
            if len(judged) >= num_documents and doc_id not in judged:
                continue
            judged.setdefault(doc_id, []).append(line)
    kept_queries = {line.split("\t")[0] for found in judged.values() for line in found}
    (folder / "qrels" / "train.tsv").write_text("".join(line for found in judged.values() for line in found))
    num_others = num_documents - len(judged)
    with (data / "corpus.jsonl").open() as lines, (folder / "corpus.jsonl").open("w") as kept:
        for line in lines:
            is_judged = json.loads(line)["_id"] in judged
            if is_judged or num_others > 0:
                num_others -= not is_judged
                kept.write(line)
    with (data / "queries.jsonl").open() as lines, (folder / "queries.jsonl").open("w") as kept:
        kept.writelines(line for line in lines if json.loads(line)["_id"] in kept_queries)
    return folder


def import_documents(arguments: argparse.Namespace) -> dict[str, Any]:
    """A million JSONL documents through the command line: rows a second, and memory beside that of 1,000."""
    number = arguments.documents or 1_000_000
    measured = {}
    for rows in (1000, number):
        folder = arguments.work / "import"
        shutil.rmtree(folder, ignore_errors=True)
        nearer.Workspace.init(folder).close()
        source = write_documents(folder / "corpus.jsonl", rows)
        code = "import sys; from nearer.cli import main; main(sys.argv[1:])"
        peak, seconds = peak_bytes(code, "add", "corpus", str(source), "--dir", str(folder))
        measured[rows] = (peak, seconds, source.stat().st_size)
        shutil.rmtree(folder)
    (few_peak, few_s, _), (peak, seconds, file_bytes) = measured[1000], measured[number]
    return {
        "num_documents": number,
        "file_bytes": file_bytes,
        "seconds": round(seconds, 1),
        "documents_per_s": round((number - 1000) / (seconds - few_s)),
        "peak_bytes": peak,
        "peak_bytes_of_1000": few_peak,
    }


def write_documents(path: Path, number: int) -> Path:
    """Documents of some 60 words with a title and metadata."""
    rng = np.random.default_rng(SEED)
    words = [f"word{row}" for row in range(5000)]
    with path.open("w", encoding="utf-8") as file:
        for row in range(number):
            text = " ".join(words[each] for each in rng.integers(0, len(words), 60))
            document = {"_id": f"doc-{row}", "title": f"Title {row}", "text": text, "metadata": {"year": row % 30}}
            file.write(json.dumps(document) + "\n")
    return path


def update(arguments: argparse.Namespace) -> dict[str, Any]:
    """Build the base's index; change 1 % of the documents; bring the index up to them; model loading included."""
    number = arguments.documents or 5000
    folder = arguments.work / "update"
    shutil.rmtree(folder, ignore_errors=True)
    documents = read_corpus_file(arguments, number=number)
    workspace = nearer.Workspace.init(folder)
    nearer.add(workspace, "corpus", write_jsonl(folder / "all.jsonl", documents))
    began = time.perf_counter()
    nearer.index(workspace, "base", progress=ConsoleProgress())
    full_s = time.perf_counter() - began
    ratios = []
    for run in range(arguments.runs):
        changed = [{**each, "text": f"Edited {run}. {each['text']}"} for each in documents[run::100]]
        nearer.add(workspace, "corpus", write_jsonl(folder / "changed.jsonl", changed))
        began = time.perf_counter()
        [built] = nearer.index(workspace, "base", progress=ConsoleProgress())["indexes"]
        ratios.append((time.perf_counter() - began) / full_s)
    workspace.close()
    return {
        "num_documents": len(documents),
        "num_changed": len(changed),
        "num_encoded": built["num_encoded"],
        "full_s": round(full_s, 1),
        "share_of_full": [round(ratio, 4) for ratio in ratios],
    }


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "evaluate": evaluate,
    "encode": encode,
    "mine": mine,
    "train": train,
    "whole": whole,
    "import": import_documents,
    "update": update,
}

if __name__ == "__main__":
    main()
