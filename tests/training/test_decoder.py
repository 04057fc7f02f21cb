"""A decoder, pooled at its last token and padded on the left, through the whole job; one prompt wherever it reads."""

from pathlib import Path

import numpy as np
import pytest

from decoders import PROMPTS
from nearer.encode.encoder import Encoder
from nearer.store.workspace import Workspace
from nearer.systems import open_system

LORA = ("--set", "train.lora_rank=8", "--set", "train.lora_alpha=32")
ANYWAY = ("--set", "gate.min_gain=-1", "--set", "gate.alpha=1e-9")


def answers(ask, folder):
    return [(each["doc_id"], each["score"]) for each in ask(folder, "search", "music and water", "-k", 80)["results"]]


def file_names(folder, encoder_id):
    return {path.name for path in (folder / ".nearer" / "models" / encoder_id).rglob("*") if path.is_file()}


@pytest.fixture
def read(monkeypatch):
    """Every text that a model's tokenizer is handed."""
    from transformers import PreTrainedTokenizerFast

    texts, call = [], PreTrainedTokenizerFast.__call__

    def spy(self, text, *args, **options):
        texts.extend([text] if isinstance(text, str) else text)
        return call(self, text, *args, **options)

    monkeypatch.setattr(PreTrainedTokenizerFast, "__call__", spy)
    return texts


@pytest.mark.slow
def test_the_whole_job_with_one_prompt_for_queries_and_one_for_documents(ask, new_workspace, beir, make_decoder, read):
    folder = new_workspace(encoder={"model": str(make_decoder())}, train={"passes": 2, "batch_size": 32})
    ask(folder, "add", "beir", beir)
    ask(folder, "promote", "base")
    before, base = answers(ask, folder), ask(folder, "status")["live"]
    trained = ask(folder, "train", *LORA)
    assert trained["improved"] is True
    assert len(trained["passes"]) == 2
    assert trained["passes"][1]["mining"]
    assert trained["space_id"] == trained["encoder_id"] != base["space_id"]
    assert not {name for name in file_names(folder, trained["encoder_id"]) if "adapter" in name}
    _, tuned = ask(folder, "evaluate", "base", trained["model_id"])["results"]
    assert tuned["metrics"]["nDCG@10"]["value"] > 0
    assert ask(folder, "promote", *ANYWAY)["verdict"] == "promoted"
    assert answers(ask, folder) != before
    assert ask(folder, "rollback")["model_id"] == base["model_id"]
    assert answers(ask, folder) == before
    _all_read_with_their_prompt(folder, read)


def _all_read_with_their_prompt(folder: Path, read: list[str]) -> None:
    workspace = Workspace.open(folder)
    queries = {query.text for query in workspace.collection.queries()} | {"music and water"}
    documents = [document.full_text for document in workspace.collection.documents()]
    workspace.close()
    asked = [text.removeprefix(PROMPTS["query"]) for text in read if text.startswith(PROMPTS["query"])]
    reported = [text.removeprefix(PROMPTS["document"]) for text in read if text.startswith(PROMPTS["document"])]
    assert len(asked) + len(reported) == len(read), "nothing is read without a prompt"
    assert set(asked) - {""} == queries, "the prompt alone is read for its length"
    whole = "\n".join(documents)
    assert all(text in whole for text in set(reported))
    assert set(documents) <= set(reported)


@pytest.mark.exhaustive
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_other_poolings_are_trained_and_kept(ask, new_workspace, beir, tiny_model_folder, tmp_path, pooling):
    from sentence_transformers import SentenceTransformer, models

    model = SentenceTransformer(str(tiny_model_folder), device="cpu")
    pooled = models.Pooling(32, pooling_mode=pooling)
    SentenceTransformer(modules=[model[0], pooled], device="cpu").save_pretrained(
        str(tmp_path / "m"), create_model_card=False
    )
    folder = new_workspace(
        encoder={"model": str(tmp_path / "m")}, train={"passes": 1, "max_pairs": 64, "learning_rate": 3e-3}
    )
    ask(folder, "add", "beir", beir)
    trained = ask(folder, "train")
    workspace = Workspace.open(folder)
    encoder = open_system(workspace, trained["model_id"]).encoder
    workspace.close()
    assert encoder.encoder_id == trained["encoder_id"]
    assert encoder.model[1].get_config_dict()["pooling_mode"] == pooling
    np.testing.assert_allclose(np.linalg.norm(encoder.encode_queries(["music"]), axis=1), 1, atol=1e-6)


def test_a_rank_larger_than_the_model_is_refused_with_what_to_change(ask, base_live):
    error = ask(base_live, "train", "--set", "train.lora_rank=64", code=2)["error"]
    assert "train.lora_rank = 64 is more than the 32" in error["message"]
    assert "correct nearer.toml" in error["hint"]


def test_a_decoder_without_a_padding_token_is_padded_with_its_end_mark(make_decoder):
    plain = Encoder.load(str(make_decoder(kind="llama")))
    without = Encoder.load(str(make_decoder(kind="llama", without=("pad_token",))))
    assert without.model.tokenizer.pad_token == "[SEP]"
    texts = ["music", "the river of the school"]
    np.testing.assert_allclose(without.encode_queries(texts), plain.encode_queries(texts), atol=1e-6)
