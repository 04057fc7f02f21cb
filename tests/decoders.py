"""Tiny decoders of random weights, pooled at the last token, to embed with as Qwen's and Llama's do."""

from pathlib import Path
from typing import Any

PROMPTS = {"query": "find this in the film : ", "document": "this was : "}
"""What the models declare to be put before queries and documents, in words of the tiny vocabulary."""


def save_decoder(folder: Path, tokenizer: Any, *, kind: str = "qwen3", pooling: str = "lasttoken") -> Path:
    """Save a sentence-transformers model of a decoder (2 layers, 32 dimensions, 128 tokens) with this tokenizer."""
    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import LlamaConfig, LlamaModel, Qwen3Config, Qwen3Model

    torch.set_num_threads(1)
    config_of, model_of = {"qwen3": (Qwen3Config, Qwen3Model), "llama": (LlamaConfig, LlamaModel)}[kind]
    config = config_of(
        vocab_size=tokenizer.backend_tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=128,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model_of(config).save_pretrained(str(folder / "base"))
    tokenizer.save_pretrained(str(folder / "base"))
    transformer = models.Transformer(str(folder / "base"), max_seq_length=64)
    pooled = models.Pooling(transformer.get_embedding_dimension(), pooling_mode=pooling)
    model = SentenceTransformer(modules=[transformer, pooled, models.Normalize()], device="cpu", prompts=PROMPTS)
    model.save_pretrained(str(folder / "model"), create_model_card=False)
    return folder / "model"
