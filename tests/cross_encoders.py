"""Tiny cross-encoders to test with: of random weights, or built by hand to know when two texts share a topic."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def save_cross_encoder(folder: Path, tokenizer: Any, *, topics: Sequence[str] = (), num_labels: int = 1) -> Path:
    """A BERT with a head, as safetensors: of seeded random weights, or one that knows ``topics`` (16 at most)."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=1,
        intermediate_size=64,
        max_position_embeddings=128,
        num_labels=num_labels,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = BertForSequenceClassification(config)
    if topics:
        _teach(model, tokenizer.convert_tokens_to_ids(list(topics)))
    tokenizer.save_pretrained(str(folder))
    model.save_pretrained(str(folder))
    return folder


_QUERY, _TEXT, _FOUND, _SCORE = 16, 17, 18, 19  # dimensions; those before are one a topic


def _teach(model: Any, topic_ids: Sequence[int]) -> None:
    """In layer 1 each topic of the text looks for itself in the query; in layer 2 [CLS] for one that was found."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0 if "LayerNorm.weight" in name else 0.0)
        bert, topics = model.bert, torch.arange(len(topic_ids))
        bert.embeddings.word_embeddings.weight[torch.tensor(topic_ids), topics] = 1.0
        bert.embeddings.token_type_embeddings.weight[[0, 1], [_QUERY, _TEXT]] = 1.0
        first, second = (layer.attention for layer in bert.encoder.layer)
        first.self.query.weight[topics, topics] = 8.0
        first.self.query.bias[_QUERY] = 30.0
        first.self.key.weight[[*topics, _QUERY], [*topics, _QUERY]] = 1.0
        first.self.value.weight[_FOUND, topics] = 3.0
        first.output.dense.weight[_FOUND, _FOUND] = 1.0
        second.self.query.bias[[_QUERY, _FOUND]] = torch.tensor([-30.0, 10.0])
        second.self.key.weight[[_QUERY, _FOUND], [_QUERY, _FOUND]] = 1.0
        second.self.value.weight[_SCORE, _FOUND] = 1.0
        second.output.dense.weight[_SCORE, _SCORE] = 1.0
        bert.pooler.dense.weight[0, _SCORE] = 0.3
        model.classifier.weight[0, 0] = 5.0
