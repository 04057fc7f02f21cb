"""What a command does not need it does not load."""

import subprocess
import sys

import pytest

from folders import synthetic_rows, write_jsonl
from nearer.store.workspace import Workspace

HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "lancedb",
    "pyarrow",
    "sklearn",
    "datasets",
    "openai",
    "optuna",
)
STATUS = """
import sys
from nearer.cli import main
try:
    main(sys.argv[1:])
finally:
    print(sorted(set(HEAVY) & sys.modules.keys()), file=sys.stderr)
"""


def loaded(code, *arguments):
    made = subprocess.run(
        [sys.executable, "-c", f"HEAVY = {HEAVY}\n{code}", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert made.returncode == 0, made.stderr
    return made.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("arguments", [["--version"], ["status"], ["history"]])
def test_what_says_how_things_are_loads_no_model_library(base_live, arguments):
    assert loaded(STATUS, *arguments, *([] if "--version" in arguments else ["--dir", base_live])) == "[]"


def test_a_status_loads_no_library_of_tables(base_live):
    loads = STATUS.replace("HEAVY", "{'sqlalchemy', 'alembic', 'numpy', 'filelock'}")
    assert loaded(loads, "status", "--dir", base_live) == "[]"
    assert loaded(loads, "history", "--dir", base_live) != "[]"


def test_importing_nearer_loads_no_model_library():
    assert loaded("import sys, nearer\nprint(sorted(set(HEAVY) & sys.modules.keys()), file=sys.stderr)") == "[]"


REFUSED = """
import sys
from nearer.cli import main
folder, *verbs = sys.argv[1:]
found = {}
for verb in verbs:
    try:
        main([*verb.split(), "--dir", folder])
    except SystemExit as end:
        loaded = sorted(set(HEAVY) & sys.modules.keys())
        if end.code != 2 or loaded:
            found[verb] = (end.code, loaded)
print(found, file=sys.stderr)
"""
UNJUDGED = (
    "evaluate",
    "evaluate base base+bm25",
    "evaluate base --judgments clicks",
    "advise",
    "advise --budget 1m",
    "advise --write",
    "diagnose base",
    "export run out.run",
    "export qrels out.tsv",
    "compress base",
    "compress base --rotated",
    "merge base --weight 0.5",
    "train",
    "train --budget 5m",
    "train --search 3",
    "train --sources clicks",
    "train --reranker",
    "train --adapter query",
    "promote",
    "promote base+bm25",
    "suite",
    "suite base --file none.jsonl",
)
EMPTY = ("promote base", "export vectors out.parquet", "search hello", "index")


@pytest.mark.parametrize("rows", [(), ("corpus",), ("corpus", "queries")], ids="+".join)
def test_what_is_refused_for_want_of_data_loads_no_model_library(tmp_path, ask, rows):
    folder = tmp_path / "shop"
    Workspace.init(folder).close()
    texts = {"corpus": "a refund takes five days", "queries": "how long does a refund take"}
    for kind in rows:
        ask(folder, "add", kind, write_jsonl(tmp_path / f"{kind}.jsonl", [{"_id": "a", "text": texts[kind]}]))
    assert loaded(REFUSED, folder, *UNJUDGED, *(() if rows else EMPTY)) == "{}"


def test_too_few_judged_queries_for_advice_and_training_load_no_model_library(tmp_path, ask):
    folder = tmp_path / "shop"
    Workspace.init(folder).close()
    rows = synthetic_rows(num_documents=4, queries_each=2)
    for kind in ("corpus", "queries", "judgments"):
        ask(folder, "add", kind, write_jsonl(tmp_path / f"{kind}.jsonl", rows[kind]))
    assert (
        loaded(REFUSED, folder, "advise", "advise --budget 1m", "train", "train --budget 1m", "train --reranker")
        == "{}"
    )
