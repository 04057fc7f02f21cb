"""Recipes that cannot work, each in a workspace of its own."""

from collections.abc import Callable
from pathlib import Path

from hostile.case import WORKSPACE, Case
from nearer.core.recipe import RECIPE_FILE
from nearer.store.workspace import Workspace

Row = tuple[str, bytes, str, str]

MEND, CORRECT = "mend", "correct the key"

RECIPES: list[Row] = [
    ("bad-toml", b"[train\nepochs = 1\n", "not valid TOML", MEND),
    ("json", b'{"train": {"epochs": 1}}\n', "not valid TOML", MEND),
    ("dotted-into-section", b"train.epochs = 1\n[train]\nseed = 1\n", "Cannot declare", MEND),
    ("nul", b"name = 'a\0b'\n", "not valid TOML", MEND),
    ("latin-1", b"name = 'caf\xe9'\n", "not UTF-8 (byte 11)", "UTF-8"),
    ("surrogate", rb'name = "\ud800"' + b"\n", "not valid TOML", MEND),
    ("deep-list", b"name = " + b"[" * 50_000 + b"]" * 50_000, "nested too deeply", "flatten"),
    ("long-dotted-key", b".".join([b"a"] * 2000) + b" = 1\n", "a: unknown key", CORRECT),
    ("huge", b"# no end\n" * 200_000, "larger than 1 MiB", "shorten"),
    ("many-digits", b"[train]\nseed = " + b"9" * 5000 + b"\n", "not valid TOML", MEND),
    ("large-seed", b"[train]\nseed = 99999999999999999999\n", "train.seed: Input should be less", CORRECT),
    ("negative-seed", b"[evaluate]\nseed = -1\n", "evaluate.seed: Input should be greater", CORRECT),
    ("huge-depth", b"[evaluate]\ndepth = 1000000000000\n", "evaluate.depth: Input should be less", CORRECT),
    ("huge-resamples", b"[evaluate]\nnum_resamples = 1000000000000\n", "num_resamples: Input should be less", CORRECT),
    ("nan", b"[train]\nlearning_rate = nan\n", "train.learning_rate: Input should be a finite number", CORRECT),
    ("unknown-key", b"[train]\nepoch = 1\n", "train.epoch: unknown key", CORRECT),
    ("dunder", b"__class__ = 1\nmodel_config = {}\n", "__class__: unknown key", CORRECT),
    ("text-for-boolean", b"[chunk]\nenabled = 'perhaps'\n", "chunk.enabled: Input should be a valid boolean", CORRECT),
    ("value-for-section", b"train = 'hard'\n", "train: Input should be a valid dictionary", CORRECT),
    ("nul-suite", b'[gate]\nsuite = "a\\u0000b"\n', "gate.suite: must be the path of a file", CORRECT),
    ("no-model", b"[encoder]\nmodel = ''\n", "encoder.model: String should have at least 1", CORRECT),
    (
        "long-value",
        b"[train]\nprecision = '" + b"x" * 100_000 + b"'\n",
        "precision: Input should be 'float32'",
        CORRECT,
    ),
]

MEASURED: list[Row] = [
    ("unknown-measure", b"measures = ['nDGC@10']\n", "no measure is called 'nDGC'", "the names are"),
    ("many-digit-cutoff", b"measures = ['nDCG@" + b"9" * 5000 + b"']\n", "is not a measure", "nDCG@10"),
    ("arabic-cutoff", "measures = ['nDCG@١٠']\n".encode(), "is not a measure", "nDCG@10"),
]

MODELS: list[Row] = [
    ("absent-model", b"model = '../../nowhere/at/all'\n", "no such model folder", "encoder.model"),
    ("nul-model", b'model = "a\\u0000b"\n', "cannot be loaded", "check the name"),
    ("traversing-name", b"model = 'a/..'\n", "cannot be loaded", "check the name"),
]


def _new(content: bytes) -> Callable[[Path], None]:
    """A workspace of nothing but a recipe."""

    def write(path: Path) -> None:
        Workspace.init(path).close()
        (path / RECIPE_FILE).write_bytes(content)

    return write


def _replaced(section: str, content: bytes) -> Callable[[Path], None]:
    """Another section in the recipe of a workspace that is whole."""

    def write(path: Path) -> None:
        recipe = path / RECIPE_FILE
        before, _, rest = recipe.read_bytes().partition(f"[{section}]\n".encode())
        after = rest.partition(b"\n\n")[2]
        recipe.write_bytes(before + f"[{section}]\n".encode() + content + b"\n" + after)

    return write


def _case(row: Row, *, content: Callable[[Path], None], verb: str, code: str, copy_of: str = "") -> Case:
    name, _, reason, remedy = row
    return Case(
        name=f"recipe-{name}",
        content=content,
        verb=f"{verb} --dir {{path}}",
        code=code,
        reason=reason,
        remedy=remedy,
        copy_of=copy_of,
    )


CASES = [
    *(_case(row, content=_new(row[1]), verb="status", code="bad_recipe") for row in RECIPES),
    *(
        _case(row, content=_replaced("evaluate", row[1]), verb="evaluate base", code="bad_input", copy_of=WORKSPACE)
        for row in MEASURED
    ),
    *(
        _case(row, content=_replaced("encoder", row[1]), verb="evaluate base", code="model_refused", copy_of=WORKSPACE)
        for row in MODELS
    ),
]
