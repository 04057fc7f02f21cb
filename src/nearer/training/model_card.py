"""The README of a trained model's folder: what it is, what made it, how it is loaded elsewhere."""

from pathlib import Path

from nearer.core.results.training import TrainingRecord
from nearer.encode.encoder import EncoderSettings

CARD = "README.md"


def write_card(
    folder: Path, *, encoder_id: str, parent: str, settings: EncoderSettings, training: TrainingRecord
) -> None:
    """Write it, as the Hugging Face Hub reads such files. Raises OSError."""
    passes, recipe, data = training.passes, training.recipe["train"], training.data
    assert data is not None
    prompts = {"Queries": settings.query_prompt, "Documents": settings.document_prompt}
    prompted = "".join(f"\n{side} begin with `{prompt}`.\n" for side, prompt in prompts.items() if prompt)
    number = sum(each.number > 0 for each in passes)
    text = f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [sentence-transformers, feature-extraction, nearer]
---

# {encoder_id}

An embedding model for search, trained with Nearer from {parent} on {data.num_pairs} pairs. nDCG@10 on the dev queries
that chose it: {passes[0].fit.dev[0].value:.3f} before, {passes[-1].fit.kept.value:.3f} after. Dev is no test.

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("path/to/this/folder")
query = model.encode_query("a question")
documents = model.encode_document(["a passage", "another"])
```
{prompted}
Vectors are compared by their cosine. {number} passes of {recipe["epochs"]:g} epochs, batches of {recipe["batch_size"]}
pairs, learning rate {recipe["learning_rate"]:g}, seed {recipe["seed"]}.
"""
    folder.joinpath(CARD).write_text(text, encoding="utf-8")
