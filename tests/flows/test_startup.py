"""What a command does not need it does not load."""

import subprocess
import sys

import pytest

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


def test_importing_nearer_loads_no_model_library():
    assert loaded("import sys, nearer\nprint(sorted(set(HEAVY) & sys.modules.keys()), file=sys.stderr)") == "[]"
