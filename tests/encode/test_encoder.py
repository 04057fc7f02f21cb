import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nearer.core.errors import InputError
from nearer.encode.encoder import Encoder


@pytest.fixture
def folder(tmp_path, tiny_model_folder):
    return shutil.copytree(tiny_model_folder, tmp_path / "model")


def edit_json(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_vectors_are_unit_float32_and_independent_of_the_batch(tiny_encoder):
    texts = ["music of the river", "law", "", "the army and the school " * 30]
    vectors = tiny_encoder.encode_documents(texts)
    assert vectors.shape == (4, tiny_encoder.dimension)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    alone = np.concatenate([tiny_encoder.encode_documents([text]) for text in texts])
    assert vectors == pytest.approx(alone, abs=1e-5)
    assert tiny_encoder.encode_queries([]).shape == (0, tiny_encoder.dimension)


def test_prompts_are_put_before_texts_and_the_models_own_default_is_not(tiny_model_folder):
    prompted = Encoder.load(str(tiny_model_folder), query_prompt="river ", document_prompt="law ")
    plain = Encoder.load(str(tiny_model_folder))
    prompted.model.prompts, prompted.model.default_prompt_name = {"x": "army "}, "x"
    assert np.array_equal(prompted.encode_queries(["a"]), plain.encode_queries(["river a"]))
    assert np.array_equal(prompted.encode_documents(["a"]), plain.encode_queries(["law a"]))


def test_prompts_of_the_model_are_taken_unless_others_are_given(folder):
    edit_json(folder / "config_sentence_transformers.json", prompts={"query": "q: ", "document": "d: "})
    encoder = Encoder.load(str(folder))
    assert (encoder.settings.query_prompt, encoder.settings.document_prompt) == ("q: ", "d: ")
    encoder = Encoder.load(str(folder), query_prompt="", document_prompt="x")
    assert (encoder.settings.query_prompt, encoder.settings.document_prompt) == ("", "x")


def test_the_length_is_the_models_own_or_the_one_given_and_never_too_much(tiny_model_folder):
    assert Encoder.load(str(tiny_model_folder)).settings.max_seq_length == 64
    assert Encoder.load(str(tiny_model_folder), max_seq_length=128).model.max_seq_length == 128
    with pytest.raises(InputError, match="at most 128 tokens"):
        Encoder.load(str(tiny_model_folder), max_seq_length=129)


def test_tokens_are_counted_with_prompt_and_marks_before_truncation(tiny_model_folder):
    encoder = Encoder.load(str(tiny_model_folder), document_prompt="the ")
    assert encoder.count_tokens(["", "river " * 100]) == [3, 103]


def test_token_spans_are_characters(tiny_encoder):
    text = "The  river—été 東京 \U0001f600!"
    spans = tiny_encoder.token_spans(text)
    assert [text[start:end] for start, end in spans][:3] == ["The", "river", "—"]
    assert all(start <= end <= len(text) for start, end in spans)
    assert len(tiny_encoder.token_spans("river " * 100)) == 100


def test_the_id_is_the_same_after_save_and_load(tiny_encoder, tmp_path):
    tiny_encoder.save(tmp_path / "saved")
    again = Encoder.load(str(tmp_path / "saved"))
    assert again.encoder_id == tiny_encoder.encoder_id
    assert re.fullmatch("enc-[0-9a-f]{32}", again.encoder_id)
    assert again.model_id == f"model-{again.encoder_id[4:16]}"
    texts = ["music", "river"]
    assert np.array_equal(again.encode_queries(texts), tiny_encoder.encode_queries(texts))
    assert not list((tmp_path / "saved").rglob("*.bin"))
    again.save(tmp_path / "twice")
    assert Encoder.load(str(tmp_path / "twice")).encoder_id == tiny_encoder.encoder_id


def test_the_id_does_not_notice_calls_in_between(tiny_model_folder):
    fresh, used = Encoder.load(str(tiny_model_folder)), Encoder.load(str(tiny_model_folder))
    used.encode_queries(["a", "river " * 300])
    used.model.tokenize(["x", "river " * 300])
    used.model.tokenizer(["a", "b c"], padding="max_length", truncation=True, max_length=16)
    used.count_tokens(["a " * 300])
    used.model.train()
    assert used.encoder_id == fresh.encoder_id


def _one_weight(encoder):
    import torch

    with torch.no_grad():
        parameter = next(p for n, p in encoder.model.named_parameters() if "layer.1" in n)
        parameter.view(-1)[0].add_(1e-6)


def _a_weight_that_is_not_finite(encoder):
    import torch

    with torch.no_grad():
        next(iter(encoder.model.parameters())).view(-1)[0] = float("nan")


def _half_precision(encoder):
    encoder.model.half()


def _truncated_dimension(encoder):
    encoder.model.truncate_dim = 16


def _no_normalisation(encoder):
    del encoder.model[2]


def _a_token_more(encoder):
    encoder.model.tokenizer.add_tokens(["river-law"])


def _the_other_end_is_cut(encoder):
    encoder.model.tokenizer.truncation_side = "left"


@pytest.mark.parametrize(
    "change",
    [
        _one_weight,
        _a_weight_that_is_not_finite,
        _half_precision,
        _truncated_dimension,
        _no_normalisation,
        _a_token_more,
        _the_other_end_is_cut,
    ],
)
def test_the_id_changes_with_the_computation(tiny_model_folder, change):
    before, changed = Encoder.load(str(tiny_model_folder)), Encoder.load(str(tiny_model_folder))
    change(changed)
    assert changed.encoder_id != before.encoder_id


@pytest.mark.parametrize("settings", [{"max_seq_length": 63}, {"query_prompt": "q"}, {"document_prompt": "q"}])
def test_the_id_changes_with_the_settings(tiny_model_folder, settings):
    assert (
        Encoder.load(str(tiny_model_folder), **settings).encoder_id != Encoder.load(str(tiny_model_folder)).encoder_id
    )


def _max_pooling(folder):
    path = folder / "1_Pooling" / "config.json"
    content = json.loads(path.read_text())
    key = "pooling_mode" if "pooling_mode" in content else None
    edit_json(path, **({"pooling_mode": "cls"} if key else {"pooling_mode_cls_token": True}))


def _lower_case(folder):
    content = json.loads((folder / "tokenizer.json").read_text())
    content["normalizer"]["lowercase"] = not content["normalizer"]["lowercase"]
    (folder / "tokenizer.json").write_text(json.dumps(content))


def _two_tokens_swapped(folder):
    content = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["river"], vocabulary["army"] = vocabulary["army"], vocabulary["river"]
    (folder / "tokenizer.json").write_text(json.dumps(content))


def _another_activation(folder):
    edit_json(folder / "config.json", hidden_act="relu")


@pytest.mark.parametrize("change", [_max_pooling, _lower_case, _two_tokens_swapped, _another_activation])
def test_the_id_changes_with_the_files(folder, change):
    before = Encoder.load(str(folder)).encoder_id
    change(folder)
    assert Encoder.load(str(folder)).encoder_id != before


def test_the_id_does_not_depend_on_the_folder(folder, tiny_encoder):
    assert Encoder.load(str(folder)).encoder_id == tiny_encoder.encoder_id


def test_weights_that_the_files_lack_are_the_same_at_every_load(folder):
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "pooler" not in name}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    state = torch.get_rng_state()
    assert Encoder.load(str(folder)).encoder_id == Encoder.load(str(folder)).encoder_id
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
def test_the_default_model_is_the_published_one_and_finds_what_is_meant():
    encoder = Encoder.load("all-MiniLM-L6-v2")
    assert (encoder.dimension, encoder.settings.max_seq_length) == (384, 256)
    query = encoder.encode_queries(["How do I reset my password?"])
    documents = encoder.encode_documents(["Forgotten login credentials can be renewed.", "Bake it for ten minutes."])
    scores = (query @ documents.T)[0]
    assert scores[0] > scores[1] + 0.2


def test_a_shorter_length_in_training_does_not_shorten_what_is_encoded(tiny_encoder):
    text = " ".join(["rain", "falls", "on", "the", "roof"] * 20)
    before = tiny_encoder.encode_documents([text])
    tiny_encoder.model.max_seq_length = 8
    assert np.array_equal(tiny_encoder.encode_documents([text]), before)
    assert tiny_encoder.model.max_seq_length == 8


def test_threads_share_it_and_each_gets_its_own_vectors(tiny_encoder):
    texts = [f"rain number {n} falls " * (n % 5 + 1) for n in range(24)]
    alone = [tiny_encoder.encode_documents([text]) for text in texts]
    tiny_encoder.model.max_seq_length = 3  # as in training: what threads set and set back must not meet
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: tiny_encoder.encode_documents([text]), texts * 3))
    assert tiny_encoder.model.max_seq_length == 3
    for one, other in zip(alone * 3, together, strict=True):
        assert np.array_equal(one, other)
