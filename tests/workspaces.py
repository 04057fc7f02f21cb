"""Fixtures of the end-to-end tests: the command line called in this process, and workspaces to call it on."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from doubles import whole_command
from folders import split_by_ordinal, synthetic_rows, write_beir
from nearer.store.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one call of the command line did."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        lines = self.out.splitlines()
        assert len(lines) == 1, self.out
        value = json.loads(lines[0])
        assert isinstance(value, dict)
        return value


@pytest.fixture
def opened() -> Iterator[Callable[..., Workspace]]:
    """``opened(folder, ...)``: the workspace with these overrides, closed at the end."""
    workspaces = []

    def open_one(folder: Path, *overrides: str) -> Workspace:
        workspaces.append(Workspace.open(folder, overrides=overrides))
        return workspaces[-1]

    yield open_one
    for workspace in workspaces:
        workspace.close()


@pytest.fixture
def nearer(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """``nearer("status", "--json")``: call the command line in this process."""
    from nearer.cli import main

    monkeypatch.setattr("nearer.cli.entry.app_for", lambda _: whole_command())

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = caught.value.code
        assert isinstance(code, int)
        return Outcome(exit_code=code, out=captured.out, err=captured.err)

    return call


@pytest.fixture
def ask(nearer: Callable[..., Outcome]) -> Callable[..., dict[str, Any]]:
    """``ask(folder, "promote", "base", code=0)``: a verb in a workspace; its one JSON object, the exit code checked.

    A code of None: whichever the verdict.
    """

    def call(folder: Path, *arguments: object, code: int | None = 0) -> dict[str, Any]:
        outcome = nearer(*arguments, "--json", "--dir", folder)
        assert outcome.exit_code in ((0, 3) if code is None else (code,)), (outcome.out, outcome.err)
        assert "Traceback" not in outcome.err
        return outcome.json

    return call


@pytest.fixture(scope="session")
def tiny_recipe(tiny_model_folder: Path) -> dict[str, Any]:
    """A recipe with the tiny model that trains in a second and does learn; on one thread, for more only wait."""
    import torch

    torch.set_num_threads(1)
    return {
        "encoder": {"model": str(tiny_model_folder)},
        "chunk": {"overlap_tokens": 8},
        "train": {"batch_size": 16, "learning_rate": 1e-3, "evals_per_pass": 1, "passes": 2},
        "evaluate": {"num_resamples": 200},
        "split": {"test_fraction": 0.2},  # few queries are divided too
    }


@pytest.fixture(scope="session")
def beir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small learnable set as a BEIR folder: 80 documents, 240 queries in train, dev and test. Do not change it."""
    rows = synthetic_rows(num_documents=80, queries_each=3)
    return write_beir(tmp_path_factory.mktemp("sets") / "beir", rows, split_of=split_by_ordinal)


@pytest.fixture(scope="session")
def graded_beir(tmp_path_factory: pytest.TempPathFactory, beir: Path) -> Path:
    """The same, judged 4; every training query has a second document, of its topic, of grade 1. Do not change it."""
    source = Path(shutil.copytree(beir, tmp_path_factory.mktemp("sets") / "graded"))
    for path in (source / "qrels").iterdir():
        head, *rows = path.read_text().splitlines()
        rows = [row.rsplit("\t", 1)[0] for row in rows]
        graded = [f"{row}\t4" for row in rows]
        if path.stem == "train":
            graded += [f"{query}\td{(int(doc_id[1:]) + 10) % 80:03}\t1" for query, doc_id in map(str.split, rows)]
        path.write_text("\n".join([head, *graded]) + "\n")
    return source


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory, tiny_recipe: dict[str, Any], beir: Path) -> dict[str, Path]:
    """Workspaces by how far they came, each made from the one before; only copies are handed out."""
    from nearer.flows.add import add
    from nearer.flows.promote import promote
    from nearer.flows.train import train

    root = tmp_path_factory.mktemp("made")
    workspace = Workspace.init(root / "filled", recipe=tiny_recipe)
    add(workspace, "beir", beir)
    promote(workspace, "base")
    workspace.close()
    shutil.copytree(root / "filled", root / "trained")
    workspace = Workspace.open(root / "trained")
    train(workspace)
    workspace.close()
    return {"base live": root / "filled", "trained": root / "trained"}


@pytest.fixture
def base_live(_made: dict[str, Path], tmp_path: Path) -> Path:
    """A workspace of one's own with the base live."""
    return Path(shutil.copytree(_made["base live"], tmp_path / "base-live"))


@pytest.fixture
def trained(_made: dict[str, Path], tmp_path: Path) -> Path:
    """A workspace of one's own with the base live and a model of two passes trained."""
    return Path(shutil.copytree(_made["trained"], tmp_path / "trained"))


@pytest.fixture
def new_workspace(tmp_path: Path, tiny_recipe: dict[str, Any]) -> Callable[..., Path]:
    """``new_workspace(chunk={...})``: the folder of an empty workspace, sections laid over the tiny recipe's."""

    def make(**sections: dict[str, Any]) -> Path:
        recipe = dict(tiny_recipe)
        for name, values in sections.items():
            recipe[name] = {**recipe.get(name, {}), **values}
        Workspace.init(tmp_path / "new", recipe=recipe).close()
        return tmp_path / "new"

    return make


@pytest.fixture(scope="session")
def words() -> list[str]:
    """Common words, each one token of the tiny model."""
    from folders import common_words

    return common_words()


@pytest.fixture
def no_document_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No document may be encoded: the vectors of all are there. Examples are not explained, which cuts some anew."""
    monkeypatch.setattr("nearer.evaluation.comparison.examples", lambda *_, **__: [])
    encode = "nearer.encode.encoder.Encoder.encode_documents"
    monkeypatch.setattr(encode, lambda _, texts: pytest.fail(f"{len(texts)} documents encoded"))
