"""Rotate a model's vectors, so that it can be compressed with less loss; nothing is encoded again.

Shapes: E pairs of a query and a positive, P passages, D dimensions.
"""

import numpy as np

from nearer.core.progress import Progress, Silent
from nearer.core.results.training import TrainingData, TrainingRecord
from nearer.core.results.vectors import Rotated
from nearer.encode.adapter import Adapter, Map
from nearer.evaluation.ready import ready_to_measure
from nearer.learn.rotation import pair_rotation
from nearer.store.registered import Training
from nearer.store.workspace import Workspace
from nearer.systems import api_use, open_system, refuse_stages
from nearer.training.adapter_set import read_adapter_set
from nearer.training.adapters import judged_learners, kept_adapter, refuse_or_tell
from nearer.training.examples import find_excluded


def rotate(workspace: Workspace, system: str, *, progress: Progress | None = None) -> Rotated:
    """Register the model whose vectors are a system's, rotated onto the axes of the pairs of train's judged queries.

    Every ranking stays as it was, and the first dimensions say the most of what queries have in common with their
    positives. Its space is its own, made from the stored vectors by one product.

    Raises InputError for a system of more than a model and without judged queries to learn from, RecipeError when none
    of them has a positive.
    """
    progress = progress or Silent()
    refuse_stages(system)
    ready_to_measure(workspace)
    workspace.begin_writing()
    learners = judged_learners(workspace, find_excluded(workspace).query_ids)
    parent = open_system(workspace, system)
    known = read_adapter_set(workspace, parent, learners, progress=progress)
    refuse_or_tell(workspace, known, progress)
    pairs, passage_emb_PD = known.pairs, known.passage_emb_PD
    rotation_DD = pair_rotation(
        known.query_emb_QD[pairs.queries_E],
        passage_emb_PD[pairs.positives_E],
        passage_emb_PD,
        weight_E=np.ones(len(pairs.queries_E), np.float32),
    )
    both = Map(weights={"matrix": rotation_DD})
    training = TrainingRecord(
        recipe=workspace.recipe.model_dump(mode="json"),
        data=TrainingData(num_pairs=len(pairs.queries_E), pairs_id=pairs.pairs_id),
        adapter={"sides": "rotated"},
    )
    adapter = Adapter(space_id=known.space_id, query=both, document=both)
    model = kept_adapter(workspace, parent, adapter, sides="rotated")
    entry = Training(verb="rotate", part_id=model.model_id, is_improved=True, record=training)
    workspace.registry.add_training(entry, made=model, parent=parent.model)
    progress.say(f"{model.model_id}: {system}, rotated onto the axes of {len(pairs.queries_E)} pairs")
    return Rotated(
        model_id=model.model_id,
        encoder_id=model.encoder_id,
        space_id=model.space_id,
        parent_model_id=parent.model.model_id,
        num_pairs=len(pairs.queries_E),
        api=api_use([parent]),
    )
