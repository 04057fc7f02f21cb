"""Int8 weights for a CPU: offered where they are measured to be fast enough and to lose little enough, here."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from nearer.core.failpoints import failpoint
from nearer.core.progress import Progress, Silent
from nearer.core.results.vectors import Int8
from nearer.encode.embedded import Corpora
from nearer.encode.int8 import GRAPH, Int8Encoder
from nearer.encode.onnx_graph import save_int8
from nearer.evaluation.beside import NUM_QUERIES, quality_beside, shortcomings, speed_beside, timed_sample
from nearer.evaluation.judged_split import read_judged_with
from nearer.evaluation.ready import ready_to_measure
from nearer.store.files import bytes_in, scratch_folder
from nearer.store.registered import Model
from nearer.store.workspace import Workspace
from nearer.systems import System, open_local
from nearer.training.models import keep_model

MOST_LOST = 0.005
"""Of nDCG@10: our rule, half of what two seeds of one training differ by."""
LEAST_SPEEDUP = 1.4
"""Of documents a second: our rule, below it a second model and a second index are not worth it."""


def compress_int8(
    workspace: Workspace,
    system: str,
    *,
    split: str = "dev",
    progress: Progress | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Int8:
    """Quantise a model's weights to int8, measure what that loses and gains here, and register it where it is worth it.

    The verdict is "offered" where it loses at most ``MOST_LOST`` of nDCG@10 on the split and encodes at least
    ``LEAST_SPEEDUP`` times the documents a second, both sides in turns with the same number of threads; else "not
    offered", and nothing is kept. Quality is measured only where the speed is enough.

    Raises InputError without onnxruntime, for a model that is not a local one with weights of its own or whose graph
    gives other vectors, and when the split has no judged queries.
    """
    progress = progress or Silent()
    ready_to_measure(workspace)
    corpora = Corpora(workspace, progress)
    judged, opened = read_judged_with(corpora, split), open_local(workspace, system)
    sample = timed_sample(corpora, opened)
    workspace.begin_writing()
    workspace.models.mkdir(exist_ok=True)
    with scratch_folder(workspace.models) as scratch:
        progress.say("writing the model as a graph, and its weights as int8")
        save_int8(opened.encoder, scratch, sample.passages[:NUM_QUERIES])
        encoder = Int8Encoder.load(scratch)
        speed = speed_beside(opened.encoder, encoder, sample, [each.text for each in judged.queries], clock=clock)
        is_fast = speed.ratio >= LEAST_SPEEDUP
        model = _model(opened, encoder)
        quality = None
        if is_fast:
            small = System(name=model.model_id, model=model, encoder=encoder, chunk=opened.chunk)
            quality = quality_beside(corpora, opened, small, judged)
        reasons = shortcomings(speed, quality, least_speedup=LEAST_SPEEDUP, most_lost=MOST_LOST)
        if reasons:
            _forget_vectors(workspace, encoder)
        else:
            keep_model(workspace, encoder.encoder_id, lambda folder: _copy(scratch, folder))
            failpoint("compress.kept")
            workspace.registry.add_model(model, parent=opened.model)
        return Int8(
            verdict="not offered" if reasons else "offered",
            reasons=reasons,
            model_id=None if reasons else model.model_id,
            encoder_id=None if reasons else model.encoder_id,
            parent_model_id=opened.model.model_id,
            quantisation=encoder.quantisation,
            num_bytes=bytes_in(scratch / GRAPH),
            speed=speed,
            quality=quality,
            ledger=workspace.registry.use_test_split(split=split, systems=[system], purpose="compress"),
        )


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)


def _model(opened: System, encoder: Int8Encoder) -> Model:
    return Model(
        model_id=encoder.model_id,
        encoder_id=encoder.encoder_id,
        source=str(Path("models") / encoder.encoder_id),
        encoder={"int8": {"quantisation": encoder.quantisation}},
        parent_model_id=opened.model.model_id,
    )


def _forget_vectors(workspace: Workspace, encoder: Int8Encoder) -> None:
    """Remove the vectors that were made for the measurement of an encoder that is not kept."""
    for path in workspace.embeddings.glob(f"{encoder.encoder_id}.*"):
        path.unlink(missing_ok=True)
