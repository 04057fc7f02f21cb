"""Reranking: by live's vectors, or by its cross-encoder where it has one."""

import numpy as np
import pytest

from nearer.encode.cross_encoder import CrossEncoder
from nearer.encode.encoder import Encoder
from nearer.flows.promote import promote
from nearer.store.workspace import Workspace

TEXTS = ["a book of law", "the river water", "music and music", "the church"]


def test_live_without_a_cross_encoder_ranks_by_its_vectors(live, tiny_model_folder):
    encoder = Encoder.load(str(tiny_model_folder))
    expected = encoder.encode_documents(TEXTS) @ encoder.encode_queries(["music"])[0]
    answer = live.post("/v1/rerank", query="music", documents=TEXTS, top_n=3, return_documents=True)
    assert answer["scored_by"] == "cosine"
    assert [each["index"] for each in answer["results"]] == np.argsort(-expected, kind="stable")[:3].tolist()
    for each in answer["results"]:
        assert each["relevance_score"] == pytest.approx(expected[each["index"]], abs=1e-5)
        assert each["document"] == {"text": TEXTS[each["index"]]}


@pytest.mark.exhaustive
def test_live_with_a_cross_encoder_ranks_by_it(serving, base_live, topic_cross_encoder_folder):
    with (base_live / "nearer.toml").open("a") as recipe:
        recipe.write(f'\n[search.rerank]\nmodel = "{topic_cross_encoder_folder}"\n')
    with Workspace.open(base_live) as workspace:
        promote(workspace, "base+rerank", force_reason="to serve it")
    running = serving(base_live).ready()
    scores = CrossEncoder.load(str(topic_cross_encoder_folder)).scores([("music", text) for text in TEXTS])
    answer = running.post("/v1/rerank", query="music", documents=[{"text": text} for text in TEXTS])
    assert answer["scored_by"] == "cross-encoder"
    assert answer["results"][0]["index"] == 2 == int(np.argmax(scores))
    shown = {each["index"]: each["relevance_score"] for each in answer["results"]}
    assert [shown[row] for row in range(4)] == pytest.approx((1 / (1 + np.exp(-scores))).tolist(), abs=1e-5)
    assert str(topic_cross_encoder_folder) not in str(answer)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"documents": TEXTS}, 422),
        ({"query": " ", "documents": TEXTS}, 400),
        ({"query": "a", "documents": []}, 422),
        ({"query": "a", "documents": ["a"] * 2049}, 413),
        ({"query": "a", "documents": TEXTS, "model": "rerank-english-v3.0"}, 404),
        ({"query": "a", "documents": TEXTS, "model": "reranker-0123456789ab"}, 404),
        ({"query": "a", "documents": [{"title": "a"}]}, 422),
    ],
)
def test_what_is_refused(live_for_all, body, status):
    assert set(live_for_all.post("/v1/rerank", status=status, **body)["error"]) == {"code", "message", "hint"}
