"""The models that encode and rerank for others, by name: what is live, and one more that was asked for last."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from nearer.core.errors import NotFound
from nearer.core.results.training import TrainingRecord
from nearer.encode.cross_encoder import CrossEncoder
from nearer.serving.searcher import Searcher
from nearer.store.workspace import Workspace
from nearer.systems import LIVE, System, open_release
from nearer.systems.loading import load
from nearer.systems.reranker import is_reranker_id, open_reranker

T = TypeVar("T")
_RELEASE = "release-"


class Last(Generic[T]):
    """What was opened last, by name; another name takes its place."""

    def __init__(self) -> None:
        self._name = ""
        self._value: T | None = None
        self._opening = Lock()

    def get(self, name: str, open_it: Callable[[], T]) -> T:
        """The value of that name, opened where another is held."""
        with self._opening:
            if self._value is None or self._name != name:
                self._value = None  # two models are never held beside live's
                self._name, self._value = name, open_it()
            return self._value


class Models:
    """Opens models by name; a name of what is live costs nothing."""

    def __init__(self, workspace: Workspace, *, searcher: Callable[[], Searcher]) -> None:
        self._workspace, self._searcher = workspace, searcher
        self._system: Last[System] = Last()
        self._reranker: Last[CrossEncoder] = Last()
        self._dimensions: dict[str, tuple[int, ...]] = {}

    def encoder(self, name: str) -> System:
        """The system of ``live``, a release or a model. Raises NotFound for another name, and what opening raises."""
        live = self._searcher().served
        if name in (LIVE, live.release.release_id, live.release.model_id):
            return live.system
        registry = self._workspace.registry
        if name.startswith(_RELEASE):
            release = registry.release(name)
            return self._system.get(name, lambda: open_release(self._workspace, release, name=name))
        if (model := registry.find_model(name)) is None:
            known = ", ".join([LIVE, *registry.model_ids()])
            raise NotFound(f"no model {name!r}; known: {known}", hint="list them: GET /v1/models")
        chunk = self._workspace.recipe.chunk
        return self._system.get(name, lambda: load(self._workspace, model, name=name, chunk=chunk))

    def dimensions(self, system: System) -> tuple[int, ...]:
        """What its vectors may be cut to, its own dimension first; how it was trained is read once a model."""
        model_id = system.model.model_id
        if model_id not in self._dimensions:
            training = self._workspace.registry.training_of(model_id)
            self._dimensions[model_id] = cut_dimensions(training, system.encoder.dimension)
        return self._dimensions[model_id]

    def reranker(self, name: str) -> CrossEncoder | None:
        """The cross-encoder of ``live``, if it has one, or one trained here. Raises NotFound for another name."""
        if name == LIVE:
            return self._searcher().served.system.reranker
        if not is_reranker_id(name):
            raise NotFound(f"no reranker {name!r}", hint="name live, or one trained here: nearer train --reranker")
        return self._reranker.get(name, lambda: open_reranker(self._workspace, name))


def cut_dimensions(training: TrainingRecord | None, dimension: int) -> tuple[int, ...]:
    """The dimensions to which a model's vectors may be cut, its own first: those that it was trained or rotated for."""
    if training is None:
        return (dimension,)
    if training.adapter and training.adapter.get("sides") == "rotated":
        return tuple(range(dimension, 0, -1))
    trained = training.recipe.get("train", {}).get("matryoshka_dims", ())
    return (dimension, *(each for each in sorted(trained, reverse=True) if each < dimension))
