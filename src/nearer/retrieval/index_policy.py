"""Which index answers, and what it must show before it may."""

from collections.abc import Callable
from dataclasses import dataclass

from nearer.core.arrays import Floats32
from nearer.retrieval.manifest import Kind, Manifest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IndexPolicy:
    """The recipe's choices, and where to get queries' vectors to measure with, shape (Q, D), or none.

    Above ``exact_up_to`` passages LanceDB and PostgreSQL, whose address is ``url``, use a vector index. ``kind`` None
    means: exact or LanceDB, whichever suits the size. Recall is measured on ``num_recall_queries``, or on as many
    passages where there is no query. ``files`` is where LanceDB's tables go in object storage; None: into the folder.
    """

    kind: Kind | None = None
    url: str | None = None
    files: str | None = None
    exact_up_to: int = 50_000
    min_recall: float = 0.98
    num_recall_queries: int = 200
    queries: Callable[[], Floats32 | None] = lambda: None

    def kind_for(self, num_passages: int) -> Kind:
        """The kind to build for so many passages."""
        return self.kind or ("exact" if num_passages <= self.exact_up_to else "lancedb")

    def kind_after(self, manifest: Manifest) -> Kind:
        """The kind an index should now have; one that was large stays until it is half as large as the limit.

        Otherwise a corpus near the limit would be built anew with every change. An empty one stays as it is.
        """
        is_large = 2 * manifest.num_passages > self.exact_up_to
        if self.kind is None and (not manifest.num_passages or (manifest.kind == "lancedb" and is_large)):
            return manifest.kind
        return self.kind_for(manifest.num_passages)

    def shortfall(self, manifest: Manifest) -> str | None:
        """What is wrong with the recall that was measured; None when it is enough or search is exact."""
        recall = manifest.recall
        if recall is None or recall.value >= self.min_recall:
            return None
        return (
            f"recall@{recall.k} against exact search is {recall.value:.3f} on {recall.num_queries} "
            f"{recall.measured_on}, below index.min_recall = {self.min_recall}"
        )
