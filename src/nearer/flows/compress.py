"""Shorter and smaller vectors: what each size costs in quality, bytes and time, and a model of fewer dimensions.

Shapes: Q queries, P passages, N documents, D dimensions, K ranked documents.
"""

import time
from collections.abc import Callable

from nearer.core.errors import InputError
from nearer.core.failpoints import failpoint
from nearer.core.progress import Progress, Silent
from nearer.core.results.vectors import Compressed, CompressionCurve, SizeValues
from nearer.encode.compressed import CompressedEncoder
from nearer.encode.embedded import Corpora
from nearer.evaluation.judged_split import read_judged_with
from nearer.evaluation.ready import ready_to_measure
from nearer.evaluation.sizes import MEASURE, MeasuredCorpus, proposed, rows_of, settings_of
from nearer.store.registered import Model
from nearer.store.workspace import Workspace
from nearer.systems import System, api_use, open_system


def compress(workspace: Workspace, system: str, *, dimension: int) -> Compressed:
    """Register the model whose vectors are the first ``dimension`` values of a system's, of length 1 again.

    It keeps no weights: those of the model that it compresses serve it. Its space is its own.

    Raises InputError for a dimension that is not below the system's, and for a system of more than a model.
    """
    opened = _open(workspace, system)
    encoder = CompressedEncoder(opened.encoder, dimension)
    record = Model(
        model_id=encoder.model_id,
        encoder_id=encoder.encoder_id,
        source=opened.model.source,
        encoder={"compressed": {"dimension": dimension}, "space_id": encoder.space_id},
        parent_model_id=opened.model.model_id,
    )
    workspace.begin_writing()
    model = workspace.registry.add_model(record, parent=opened.model)
    return Compressed(
        model_id=model.model_id,
        encoder_id=model.encoder_id,
        space_id=model.space_id,
        parent_model_id=opened.model.model_id,
        dimension=dimension,
        full_dimension=opened.encoder.dimension,
        api=api_use([opened]),
    )


def compression_curve(
    workspace: Workspace,
    system: str,
    *,
    split: str = "dev",
    progress: Progress | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> CompressionCurve:
    """Measure a system's vectors at every dimension and precision of ``compress``, and propose the smallest that do.

    Each is compared query by query with the full float32 vectors, over the whole corpus. Search times are of one query
    at a time, in NumPy, beside those of the full vectors in the same minute. A test split is a look in the ledger.

    Raises InputError when the split has no judged queries, and for a system of more than a model.
    """
    progress = progress or Silent()
    ready_to_measure(workspace)
    corpora = Corpora(workspace, progress)
    judged, opened = read_judged_with(corpora, split), _open(workspace, system)
    measured_corpus = MeasuredCorpus.of(corpora.embedded(opened.encoder, chunk=opened.chunk), judged)
    settings = settings_of(workspace, opened.encoder.dimension)
    full, *others = [
        measured_corpus.measured(opened, judged, *each, clock=clock)
        for each in progress.track(settings, label="search each size", total=len(settings))
    ]
    rows = rows_of(workspace, judged, full, others, measured_corpus.corpus)
    workspace.begin_writing()
    result = CompressionCurve(
        system=system,
        model_id=opened.model.model_id,
        split=judged.split,
        metric=str(MEASURE),
        num_queries=len(judged.queries),
        num_groups=len(set(judged.groups)) if judged.groups else None,
        num_documents=len(measured_corpus.corpus.documents),
        num_passages=len(measured_corpus.corpus.passages),
        settings=workspace.recipe.compress.model_dump(mode="json"),
        rows=rows,
        proposal=(proposal := proposed(rows)),
        next=_next(workspace, opened, proposal, rows[0]),
        ledger=workspace.registry.use_test_split(split=judged.split, systems=[system], purpose="compress"),
        api=api_use([opened]),
    )
    workspace.results.keep("compress", result)
    failpoint("compress.curve")
    return result


def _open(workspace: Workspace, name: str) -> System:
    """The system, which must be a model alone: stages are of its search, not of its vectors."""
    system = open_system(workspace, name)
    if system.stages:
        raise InputError(
            f"{name} is more than a model", hint=f"compress the model itself: nearer compress {system.model.model_id}"
        )
    return system


def _next(workspace: Workspace, system: System, proposal: SizeValues, full: SizeValues) -> tuple[str, ...]:
    """The commands that make the proposal what is searched; the gate knows how much may be lost."""
    dimension = proposal.dimension
    if dimension == full.dimension:
        return ()
    chosen = CompressedEncoder(system.encoder, dimension).model_id
    allowed = workspace.recipe.compress.max_loss * full.value
    return (
        f"nearer compress {system.model.model_id} --dimension {dimension}",
        f"nearer promote {chosen} --set gate.min_gain=-{allowed:.4f}",
    )
