"""A trained model's folder: printed, with a card, and read by sentence-transformers alone."""

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from nearer.store.workspace import Workspace
from nearer.systems import open_local


def test_the_folder_is_printed_and_loads_elsewhere_with_equal_vectors(nearer, trained):
    workspace = Workspace.open(trained)
    model = next(each for each in workspace.registry.models() if each.parent_model_id)
    folder = workspace.models / model.encoder_id
    ours = open_local(workspace, model.model_id).encoder.encode_documents(["a text", "another one"])
    workspace.close()
    theirs = SentenceTransformer(str(folder), local_files_only=True).encode_document(
        ["a text", "another one"], normalize_embeddings=True
    )
    np.testing.assert_array_equal(ours, theirs)
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: sentence-transformers\n")
    assert f"# {model.encoder_id}\n" in card
    assert " before, 0." in card


@pytest.mark.exhaustive
def test_train_says_where_it_is(nearer, base_live, stub_trainer):
    outcome = nearer("train", "--dir", base_live, "--set", "train.passes=1")
    [line] = [line for line in outcome.out.splitlines() if line.startswith("the model is in ")]
    assert (base_live / line.split()[4] / "README.md").is_file()
