"""What a name means once it is resolved, and what a release keeps of it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from nearer.core.results.base import JSON
from nearer.core.results.measuring import ApiUse
from nearer.core.sections import ChunkRecipe, SearchRecipe
from nearer.encode.corpus import room_of, window_of
from nearer.encode.cross_encoder import CrossEncoder
from nearer.encode.encoder import Encoder, TextEncoder
from nearer.store.registered import Model, Release
from nearer.store.usage import Meter, Usage

PARTS = {
    "filter": ("query_time_fields", "filters"),
    "bm25": ("language",),
    "rrf": ("depth", "language"),
    "hybrid": ("depth", "dense_weight", "language"),
    "boost": ("depth", "boosts"),
    "rerank": ("depth", "rerank"),
}
"""The keys of the recipe's search that say what a stage does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What a name meant when it was resolved: a model, an encoder ready to run it, and how documents are cut for it.

    ``stages``, in their order, turn what the encoder finds into the answer, as ``search`` says.
    """

    name: str
    model: Model
    encoder: TextEncoder
    chunk: ChunkRecipe
    stages: tuple[str, ...] = ()
    search: SearchRecipe = field(default_factory=SearchRecipe)
    reranker: CrossEncoder | None = None
    meter: Meter | None = None

    @property
    def pinned(self) -> JSON:
        """What a release keeps of it beside its model: how documents are cut, the stages, and what describes these."""
        parts = {part for stage in self.stages for part in PARTS[stage]}
        return {
            "chunk": self._pinned_chunk,
            "stages": list(self.stages),
            "search": self.search.model_dump(mode="json", include=parts),
            "cross_encoder_id": self.reranker.cross_encoder_id if self.reranker else None,
        }

    @property
    def _pinned_chunk(self) -> JSON:
        """How documents are cut, in tokens, whatever a recipe's default means by then."""
        window = window_of(self.chunk, self.encoder)
        lengths = {"max_tokens": window.max_tokens, "overlap_tokens": window.overlap_tokens} if window else {}
        return {**self.chunk.model_dump(mode="json"), **lengths}

    def is_released_as(self, release: Release) -> bool:
        """Whether a release answers as this system does: from the same model and index, in the same stages."""
        is_alike = all(release.system[name] == self.pinned[name] for name in ("stages", "search", "cross_encoder_id"))
        return is_alike and self.shares_index(release) and release.model_id == self.model.model_id

    def shares_index(self, release: Release) -> bool:
        """Whether a release searches the same index: vectors of one space."""
        return release.space_id == self.model.space_id


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSystem(System):
    """A system whose weights are here, so that it can be trained."""

    encoder: Encoder


def chunk_of(release: Release, encoder: TextEncoder) -> ChunkRecipe:
    """How a release pins that documents are cut; without a length, as was done then: all that the encoder reads."""
    chunk = ChunkRecipe.model_validate({"repeat_title": False, **release.system["chunk"]})
    is_pinned = chunk.max_tokens is not None or not chunk.enabled
    return chunk if is_pinned else chunk.model_copy(update={"max_tokens": room_of(encoder)})


def api_use(systems: Iterable[System]) -> ApiUse | None:
    """What these systems have asked of services since they were opened; None without any service."""
    meters = {system.meter for system in systems if system.meter}
    if not meters:
        return None
    total = sum((meter.total for meter in meters), Usage())
    return ApiUse(**asdict(total), is_recorded=all(meter.is_recorded for meter in meters))
