import json
import re
import shutil

import numpy as np
import pytest

from nearer.core.errors import InputError, ModelRefused, WorkspaceError
from nearer.encode.cross_encoder import CrossEncoder
from nearer.encode.encoder import Encoder, EncoderSettings

PAIRS = [("the river", "law"), ("river of the", "in the river"), ("", ""), ("music", "army " * 200)]

SMALL = {"vocab_size": 5000, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}


@pytest.fixture
def folder(tmp_path, tiny_cross_encoder_folder):
    return shutil.copytree(tiny_cross_encoder_folder, tmp_path / "reranker")


@pytest.fixture
def tiny(tiny_cross_encoder_folder):
    return CrossEncoder.load(str(tiny_cross_encoder_folder))


@pytest.fixture
def no_loading(monkeypatch):
    def loaded(*_, **__):
        raise AssertionError("the model was loaded before it was checked")

    monkeypatch.setattr("nearer.encode.cross_encoder._load", loaded)


def edit_json(path, **values):
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **values}))


def test_scores_are_float32_in_order_and_independent_of_the_batch(tiny):
    scores = tiny.scores(PAIRS)
    assert (scores.shape, scores.dtype) == ((4,), np.float32)
    alone = np.concatenate([tiny.scores([pair]) for pair in PAIRS])
    assert scores == pytest.approx(alone, abs=1e-5)
    assert len(set(scores.tolist())) == 4
    assert tiny.scores([]).shape == (0,)
    assert tiny.scores([]).dtype == np.float32


def test_scores_are_logits_whatever_activation_the_files_name(folder, tiny):
    edit_json(folder / "config.json", sentence_transformers={"activation_fn": "torch.nn.modules.activation.Sigmoid"})
    assert np.array_equal(CrossEncoder.load(str(folder)).scores(PAIRS), tiny.scores(PAIRS))
    assert tiny.scores(PAIRS).min() < 0.45


@pytest.mark.parametrize("where", ["config.json", "config_sentence_transformers.json"])
def test_nothing_that_the_files_name_is_called(folder, tiny, where, tmp_path, monkeypatch):
    import torch

    def called():
        raise AssertionError("a function that the files name was called")

    monkeypatch.setattr(torch, "seed", called)
    if where == "config.json":
        edit_json(folder / where, sentence_transformers={"activation_fn": "torch.seed"})
    else:
        folder = _saved(tiny, tmp_path / "saved")
        edit_json(folder / where, activation_fn="torch.seed")
    assert np.array_equal(CrossEncoder.load(str(folder)).scores(PAIRS), tiny.scores(PAIRS))


def test_a_saved_cross_encoder_is_read_as_it_was(tiny, tmp_path):
    tiny.model.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    again = CrossEncoder.load(str(tmp_path / "saved"))
    assert np.array_equal(again.scores(PAIRS), tiny.scores(PAIRS))
    assert again.cross_encoder_id == tiny.cross_encoder_id


def test_prompts_of_the_model_are_put_before_queries(tiny, tmp_path):
    tiny.model.prompts, tiny.model.default_prompt_name = {"rank": "army "}, "rank"
    plain = CrossEncoder.load(str(_saved(tiny, tmp_path / "prompted")))
    assert plain.model.default_prompt_name == "rank"
    tiny.model.prompts, tiny.model.default_prompt_name = {}, None
    assert not np.array_equal(plain.scores(PAIRS[:1]), tiny.scores(PAIRS[:1]))
    assert plain.cross_encoder_id != tiny.cross_encoder_id


def _saved(encoder, folder):
    encoder.model.save_pretrained(str(folder), create_model_card=False)
    return folder


def test_the_length_is_the_models_own_or_less(tiny_cross_encoder_folder, tiny):
    assert tiny.max_length == 128
    shorter = CrossEncoder.load(str(tiny_cross_encoder_folder), max_length=16)
    assert shorter.scores([("music", "army " * 200)]) == pytest.approx(
        shorter.scores([("music", "army " * 12)]), abs=1e-6
    )
    for wrong in (7, 129):
        with pytest.raises(InputError, match=f"a maximum length of {wrong} tokens, but .* reads 8 to 128"):
            CrossEncoder.load(str(tiny_cross_encoder_folder), max_length=wrong)


def test_a_tokenizer_without_a_length_gets_that_of_the_positions(folder):
    edit_json(folder / "tokenizer_config.json", model_max_length=10**30)
    assert CrossEncoder.load(str(folder)).max_length == 128


def test_positions_that_begin_after_the_padding_index_are_not_all_to_be_read(folder):
    from transformers import RobertaConfig, RobertaForSequenceClassification

    RobertaForSequenceClassification(RobertaConfig(max_position_embeddings=66, num_labels=1, **SMALL)).save_pretrained(
        folder
    )
    edit_json(folder / "tokenizer_config.json", model_max_length=10**30)
    encoder = CrossEncoder.load(str(folder))
    assert encoder.max_length == 64
    assert np.isfinite(encoder.scores(PAIRS)).all()


@pytest.mark.parametrize(
    "template", [None, "{% for each in messages %}{{ each.role }} {{ each.content }} {% endfor %}"]
)
def test_a_language_model_that_answers_yes_or_no_reranks(folder, template):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(num_key_value_heads=1, max_position_embeddings=128, tie_word_embeddings=True, **SMALL)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    edit_json(folder / "tokenizer_config.json", chat_template=template, padding_side="left")
    encoder = CrossEncoder.load(str(folder))
    assert len(set(encoder.scores(PAIRS).tolist())) == 4
    assert encoder.count_truncated(PAIRS) == 1
    before = encoder.cross_encoder_id
    edit_json(folder / "tokenizer_config.json", chat_template="{{ messages[0].content }}")
    assert CrossEncoder.load(str(folder)).cross_encoder_id != before


def test_pairs_that_are_cut_are_counted(tiny):
    fits, one_more = ("river " * 60, "law " * 65), ("river " * 60, "law " * 66)  # and [CLS], [SEP], [SEP]
    assert tiny.count_truncated([fits]) == 0
    assert tiny.count_truncated([one_more, fits, one_more] * 20) == 40
    assert tiny.count_truncated([]) == 0
    cut, whole = tiny.scores([one_more]), tiny.scores([fits])
    assert cut == pytest.approx(whole, abs=1e-6)  # the longer of the two is cut


def test_the_id_is_the_same_for_the_same_computation(folder, tiny):
    again = CrossEncoder.load(str(folder))
    again.scores(PAIRS)
    again.count_truncated(PAIRS)
    assert again.cross_encoder_id == tiny.cross_encoder_id
    assert re.fullmatch("ce-[0-9a-f]{32}", tiny.cross_encoder_id)


def _one_weight(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"] += 1e-3
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _two_tokens_swapped(folder):
    content = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["river"], vocabulary["army"] = vocabulary["army"], vocabulary["river"]
    (folder / "tokenizer.json").write_text(json.dumps(content))


def _another_activation(folder):
    edit_json(folder / "config.json", hidden_act="relu")


def _no_telling_of_sides(folder):
    edit_json(folder / "tokenizer_config.json", model_input_names=["input_ids", "attention_mask"])


@pytest.mark.parametrize("change", [_one_weight, _two_tokens_swapped, _another_activation, _no_telling_of_sides])
def test_the_id_changes_with_the_files(folder, tiny, change):
    change(folder)
    assert CrossEncoder.load(str(folder)).cross_encoder_id != tiny.cross_encoder_id


def test_the_id_changes_with_the_length(tiny_cross_encoder_folder, tiny):
    shorter = CrossEncoder.load(str(tiny_cross_encoder_folder), max_length=64)
    assert shorter.cross_encoder_id != tiny.cross_encoder_id


def test_an_embedding_model_is_no_reranker(tiny_model_folder):
    with pytest.raises(ModelRefused, match="lack 2 of its weights, first classifier") as caught:
        CrossEncoder.load(str(tiny_model_folder))
    assert "an embedding model cannot rerank" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["classifier.weight", "bert.pooler.dense.weight", "bert.encoder.layer.1.output.dense.bias"]
)
def test_a_reranker_with_a_weight_missing_is_refused(folder, name):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights[name]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelRefused, match=f"lack 1 of its weights, first {re.escape(name)}"):
        CrossEncoder.load(str(folder))


def test_a_model_of_several_numbers_a_pair_is_refused(make_cross_encoder):
    with pytest.raises(ModelRefused, match="gives 3 numbers a pair, and a reranker one"):
        CrossEncoder.load(str(make_cross_encoder(num_labels=3)))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "optimizer.pt", "a/b.pkl"])
@pytest.mark.usefixtures("no_loading")
def test_pickled_files_are_refused_before_loading(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"\x80\x04N.")
    with pytest.raises(ModelRefused, match="may run code"):
        CrossEncoder.load(str(folder))


@pytest.mark.usefixtures("no_loading")
def test_a_linked_folder_and_one_without_safetensors_are_refused(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / "1_Dense").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelRefused, match="a link to another folder"):
        CrossEncoder.load(str(folder))
    (folder / "1_Dense").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelRefused, match=r"no \.safetensors"):
        CrossEncoder.load(str(folder))


def _code_in_the_folder(folder):
    (folder / "evil.py").write_text("raise SystemExit('the code ran')")
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}]))
    edit_json(folder / "config_sentence_transformers.json", model_type="CrossEncoder")


def _code_for_the_architecture(folder):
    (folder / "evil.py").write_text("raise SystemExit('the code ran')")
    names = {"AutoConfig": "evil.Evil", "AutoModelForSequenceClassification": "evil.Evil"}
    edit_json(folder / "config.json", model_type="evil", auto_map=names)


def _garbage_weights(folder):
    (folder / "model.safetensors").write_bytes(b"garbage")


def _weights_of_other_shape(folder):
    edit_json(folder / "config.json", vocab_size=10)


@pytest.mark.parametrize(
    "damage", [_code_in_the_folder, _code_for_the_architecture, _garbage_weights, _weights_of_other_shape]
)
def test_a_damaged_folder_is_refused_with_a_reason_and_runs_nothing(folder, damage):
    damage(folder)
    with pytest.raises(ModelRefused, match="cannot be loaded") as caught:
        CrossEncoder.load(str(folder))
    assert str(folder) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("name", ["nobody/nothing-at-all", "nothing-at-all"])
def test_a_reranker_that_is_not_there_is_one_sentence_with_a_remedy(name):
    with pytest.raises(ModelRefused, match=f"{name}: cannot be loaded") as caught:
        CrossEncoder.load(name)
    assert "\n" not in caught.value.message
    assert f'"{name}" must be cached' in caught.value.hint


def test_a_folder_that_is_not_there_is_one_sentence_with_a_remedy():
    with pytest.raises(ModelRefused, match=r"\./absent: no such model folder") as caught:
        CrossEncoder.load("./absent")
    assert "cross-encoder/ms-marco" in caught.value.hint


# Made here


def test_a_fresh_head_over_an_encoder_is_drawn_from_its_seed_alone(tiny_encoder, capfd):
    import torch

    torch.manual_seed(1)
    first = CrossEncoder.over(tiny_encoder, name="base", seed=0)
    torch.manual_seed(2)
    again, other = (CrossEncoder.over(tiny_encoder, name="base", seed=seed) for seed in (0, 1))
    assert first.cross_encoder_id == again.cross_encoder_id != other.cross_encoder_id
    assert np.isfinite(first.scores(PAIRS)).all()
    body = {name: tensor for name, tensor in first.model.state_dict().items() if "classifier" not in name}
    same = tiny_encoder.model.state_dict()
    assert all(torch.equal(tensor, same[name.replace(".bert.", ".")]) for name, tensor in body.items())
    assert "MISSING" not in "".join(capfd.readouterr()), "a fresh head is what was asked for"


def test_a_fresh_one_reads_all_that_the_positions_allow_or_less(tiny_encoder):
    assert tiny_encoder.settings.max_seq_length == 64
    assert CrossEncoder.over(tiny_encoder, name="base", seed=0).max_length == 128
    assert CrossEncoder.over(tiny_encoder, name="base", max_length=32, seed=0).max_length == 32
    with pytest.raises(InputError, match="a maximum length of 129 tokens, but base reads 8 to 128"):
        CrossEncoder.over(tiny_encoder, name="base", max_length=129, seed=0)
    assert tiny_encoder.model.max_seq_length == 64, "the encoder is as it was"


def test_a_fresh_one_over_a_decoder_reads_its_last_token(folder):
    from sentence_transformers import SentenceTransformer, models
    from transformers import Qwen2Config, Qwen2Model

    Qwen2Model(Qwen2Config(num_key_value_heads=1, max_position_embeddings=128, **SMALL)).save_pretrained(folder)
    body = models.Transformer(str(folder))
    pooling = models.Pooling(body.get_embedding_dimension(), pooling_mode="lasttoken")
    encoder = Encoder(
        SentenceTransformer(modules=[body, pooling], device="cpu"), settings=EncoderSettings(max_seq_length=64)
    )
    made = CrossEncoder.over(encoder, name="decoder", seed=0)
    alone = np.concatenate([made.scores([pair]) for pair in PAIRS[:2]])
    assert made.scores(PAIRS[:2]) == pytest.approx(alone, abs=1e-5), "padding is not what is read"


def test_an_encoder_without_a_transformer_can_carry_no_head():
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import BoW

    encoder = Encoder(
        SentenceTransformer(modules=[BoW(vocab=["a", "b"])], device="cpu"), settings=EncoderSettings(max_seq_length=8)
    )
    with pytest.raises(ModelRefused, match="words: has no transformer to put a head on") as caught:
        CrossEncoder.over(encoder, name="words", seed=0)
    assert "--from cross-encoder/" in caught.value.hint


def test_without_room_for_temporary_files_it_says_so(tiny_encoder, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(tiny_encoder.model.tokenizer), "save_pretrained", full)
    with pytest.raises(WorkspaceError, match="No space left") as caught:
        CrossEncoder.over(tiny_encoder, name="base", seed=0)
    assert "TMPDIR" in caught.value.hint


def test_what_was_saved_is_what_was_made_with_its_length(tiny_encoder, tmp_path):
    made = CrossEncoder.over(tiny_encoder, name="base", max_length=48, seed=3)
    made.save(tmp_path / "made")
    again = CrossEncoder.load(str(tmp_path / "made"))
    assert (again.max_length, again.cross_encoder_id) == (48, made.cross_encoder_id)
    assert np.array_equal(again.scores(PAIRS), made.scores(PAIRS))
    assert re.fullmatch("reranker-[0-9a-f]{12}", made.reranker_id)


def test_another_length_is_another_computation_of_the_same_model(tiny_cross_encoder_folder, tiny):
    assert tiny.limited(None) is tiny
    assert tiny.limited(128) is tiny
    before = tiny.cross_encoder_id
    shorter = CrossEncoder.load(str(tiny_cross_encoder_folder)).limited(16)
    wanted = CrossEncoder.load(str(tiny_cross_encoder_folder), max_length=16)
    assert shorter.cross_encoder_id == wanted.cross_encoder_id != before
    assert np.array_equal(shorter.scores(PAIRS), wanted.scores(PAIRS))
    with pytest.raises(InputError, match="129 tokens"):
        tiny.limited(129)


def test_the_hand_made_one_knows_what_shares_a_topic(topic_cross_encoder_folder):
    encoder = CrossEncoder.load(str(topic_cross_encoder_folder))
    topics = ["music", "water", "law", "football"]
    pairs = [
        (f"the {asked} of", f"which {reported} was {also} by")
        for asked in topics
        for reported in topics
        for also in topics
    ]
    shares = [asked in text for asked, text in ((query.split()[1], text.split()) for query, text in pairs)]
    scores = encoder.scores(pairs)
    assert min(scores[np.array(shares)]) > 2
    assert max(scores[~np.array(shares)]) < -2
