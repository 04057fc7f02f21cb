"""A model folder that loads, of some thousand bytes, written without a library; and what is hostile in others."""

import json
import random
import struct
from pathlib import Path

WORDS = (
    *("rain", "snow", "wind", "hail", "frost", "cloud", "storm", "fog", "falls", "melts", "blows"),
    *("of", "the", "on", "in", "sea", "road", "roof", "hill"),
)
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_WIDTH, _POSITIONS = 8, 64
_VOCABULARY = {token: number for number, token in enumerate([*_SPECIAL, *WORDS])}
_CONFIG = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "vocab_size": len(_VOCABULARY),
    "hidden_size": _WIDTH,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": _WIDTH,
    "max_position_embeddings": _POSITIONS,
}
_TOKENIZER = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        {
            "id": number,
            "content": token,
            "special": True,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for number, token in enumerate(_SPECIAL)
    ],
    "normalizer": {"type": "Lowercase"},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {token: {"id": token, "ids": [_VOCABULARY[token]], "tokens": [token]} for token in _SPECIAL},
    },
    "decoder": None,
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": _VOCABULARY,
    },
}
_TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "model_max_length": _POSITIONS,
}
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]
_POOLING = {"word_embedding_dimension": _WIDTH, "pooling_mode_mean_tokens": True}


def write_model(folder: Path) -> None:
    """A BERT of one layer with seeded weights."""
    (folder / "1_Pooling").mkdir(parents=True)
    contents = {
        "config.json": _CONFIG,
        "tokenizer.json": _TOKENIZER,
        "tokenizer_config.json": _TOKENIZER_CONFIG,
        "modules.json": MODULES,
        "sentence_bert_config.json": {"max_seq_length": _POSITIONS},
        "1_Pooling/config.json": _POOLING,
    }
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "model.safetensors").write_bytes(safetensors(_shapes()))


def safetensors(shapes: dict[str, tuple[int, ...]]) -> bytes:
    """Seeded tensors of these shapes. Source: the format's description in the repository huggingface/safetensors."""
    rng, header, data = random.Random(0), {}, b""
    for name, shape in shapes.items():
        size = 1
        for length in shape:
            size *= length
        values = struct.pack(f"<{size}f", *(rng.gauss(0, 0.5) for _ in range(size)))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _shapes() -> dict[str, tuple[int, ...]]:
    layer = "encoder.layer.0."
    square = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
    dense = [*(layer + name for name in (*square, "intermediate.dense", "output.dense")), "pooler.dense"]
    norms = ("embeddings.LayerNorm", f"{layer}attention.output.LayerNorm", f"{layer}output.LayerNorm")
    return {
        "embeddings.word_embeddings.weight": (len(_VOCABULARY), _WIDTH),
        "embeddings.position_embeddings.weight": (_POSITIONS, _WIDTH),
        "embeddings.token_type_embeddings.weight": (2, _WIDTH),
        **{f"{name}.weight": (_WIDTH, _WIDTH) for name in dense},
        **{f"{name}.bias": (_WIDTH,) for name in dense},
        **{f"{name}.{part}": (_WIDTH,) for name in norms for part in ("weight", "bias")},
    }
