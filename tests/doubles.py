"""What stands for a part that a test is not about, and costs it less: each fixture says when to use it."""

import copy
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_MOST_BYTES, _MOST_KEPT = 2_000_000, 16
_Files = tuple[tuple[str, int, int, int, int], ...]


@pytest.fixture(scope="session", autouse=True)
def _small_models_are_read_once() -> Iterator[None]:
    """Loading a small folder again gives a copy of what was loaded, in a third of the time.

    A folder that was touched since is another one, and what cannot be loaded is tried each time.
    """
    from nearer.encode import encoder

    load, kept = encoder._load, dict[tuple[str, _Files], Any]()

    def loaded(source: str, *, name: str) -> Any:
        files = _files_of(Path(source)) if os.path.isdir(source) else ()
        if not files or sum(size for _, size, *_ in files) > _MOST_BYTES:
            return load(source, name=name)
        if (source, files) not in kept:
            while len(kept) >= _MOST_KEPT:
                kept.pop(next(iter(kept)))
            kept[source, files] = load(source, name=name)
        return copy.deepcopy(kept[source, files])

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(encoder, "_load", loaded)
        yield


def _files_of(folder: Path) -> _Files:
    found = [(path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file()]
    return tuple((str(path), at.st_size, at.st_mtime_ns, at.st_ctime_ns, at.st_ino) for path, at in found)


@functools.cache
def whole_command() -> Any:
    """The command line with every verb, whose parser takes longer to make than many a verb does its work."""
    from typer.main import get_command

    from nearer.cli import whole_app

    return get_command(whole_app())


@pytest.fixture
def stub_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    """``train`` makes a model at once: each pass moves the weights a little, by its seed, and dev calls it better.

    For tests that need *a* model that was trained, and not what it learned: its release, its lineage, its report. All
    around the pass is as it is: what is mined, measured, saved and registered. Where one such model is enough, the
    fixture ``trained`` costs less; where the figures, the checkpoints or the time count, train in earnest.
    """
    import torch

    from nearer.core.results.training import DevPoint, Fit

    def fit(model: Any, examples: Any, *, recipe: Any, measure: Any, timing: Any, **_: Any) -> Fit:
        before = timing.start or measure(0)
        random = torch.Generator().manual_seed(recipe.seed)
        with torch.no_grad():
            for each in model.parameters():
                each.add_(0.01 * torch.randn(each.shape, generator=random))
        measured = measure(1)
        after = DevPoint(step=1, value=before.value + 0.01, queries=measured.queries)
        return Fit(
            num_examples=len(examples),
            num_steps=1,
            best_step=1,
            stopped_early=False,
            dev=(before, after),
            losses=(1.0,),
            loss="mnrl",
        )

    monkeypatch.setattr("nearer.training.passes.fit", fit)
