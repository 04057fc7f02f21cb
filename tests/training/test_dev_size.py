"""How much of dev is measured: at most a fifth of the work of training, counted in tokens."""

import json

import numpy as np
import pytest

from nearer.core.sections import TrainRecipe
from nearer.encode.corpus import Corpus
from nearer.encode.encoder import Encoder
from nearer.flows.train import train
from nearer.store.workspace import Workspace
from nearer.training.dev_set import first_within
from nearer.training.dev_size import SHARE, DevTokens, dev_size, least_dev, mean_tokens, pass_tokens

TOKENS = DevTokens(query=210.0, passage=200.0)


def size(work, *, num_queries=400, limit=float("inf"), **recipe):
    found = dev_size(TrainRecipe(alarms=False, **recipe), TOKENS, num_queries=num_queries, work=work, limit=limit)
    return found, found.num_queries * TOKENS.query + found.num_distractors * TOKENS.passage


def test_a_large_training_measures_all_of_it_four_times():
    found, read = size(1e9)
    assert (found.num_queries, found.num_distractors, found.evals_per_pass) == (300, 1000, 4)
    assert 4 * read < SHARE * 1e9


@pytest.mark.parametrize("work", [3e5, 1e6, 3e6, 1e7])
def test_it_takes_a_fifth_at_most(work):
    found, read = size(work)
    assert found.evals_per_pass * read <= SHARE * work
    assert found.evals_per_pass == 4 or (found.evals_per_pass + 1) * read > SHARE * work


def test_it_is_never_less_than_tells_something():
    found, _ = size(1000)
    assert (found.num_queries, found.num_distractors, found.evals_per_pass) == (50, 100, 1)
    assert size(1000, num_queries=7)[0].num_queries == 7


def test_what_the_recipe_says_stands():
    found, _ = size(1000, evals_per_pass=3, max_dev_queries=200, num_dev_distractors=0)
    assert (found.num_queries, found.num_distractors, found.evals_per_pass) == (200, 0, 3)


def test_but_for_a_time():
    found, read = size(1e9, evals_per_pass=3, max_dev_queries=200, limit=30_000)
    assert found.evals_per_pass == 1
    assert read <= 30_000
    found, read = size(1e9, limit=1.0)
    assert read == least_dev(TOKENS)


def test_training_queries_that_are_watched_are_counted():
    watched = dev_size(TrainRecipe(), TOKENS, num_queries=400, work=1.5e6)
    alone = dev_size(TrainRecipe(alarms=False), TOKENS, num_queries=400, work=1.5e6)
    assert watched.num_queries < alone.num_queries


def test_distractors_are_counted_in_passages():
    corpus = Corpus(documents=(), passages=tuple("abcdefgh"), starts_N=np.array([0, 1, 4, 5]), chunking="")
    assert first_within([0, 1, 2, 3], corpus, most_passages=5) == [0, 1, 2]
    assert first_within([1, 0], corpus, most_passages=2) == []


def test_tokens_are_those_that_are_read(tiny_encoder):
    text = "one two three four five six seven eight nine ten"
    [own] = tiny_encoder.count_tokens([text])
    assert mean_tokens(tiny_encoder, [text] * 1000) == own
    assert mean_tokens(tiny_encoder, [text], longest=4) == 4
    assert mean_tokens(tiny_encoder, []) == 0
    assert pass_tokens(tiny_encoder, [], TrainRecipe()) == 0


def test_step_0_is_read_from_the_cache_and_later_passes_begin_with_what_was_measured(base_live, monkeypatch):
    encode, encoded = Encoder.encode_documents, []

    def counted(encoder, texts):
        encoded.append(list(texts))
        return encode(encoder, texts)

    workspace = Workspace.open(base_live)
    monkeypatch.setattr(Encoder, "encode_documents", counted)
    try:
        result = train(workspace)
        registered = workspace.registry.training_of(result["model_id"]).to_dict()
    finally:
        workspace.close()
    first, second = (each["fit"]["dev"] for each in result["passes"])
    assert second[0]["value"] in [point["value"] for point in first]
    assert json.dumps(registered["passes"][0]["fit"]).find("stands") == -1
    num_dev = sum(len(texts) for texts in encoded)
    mined = registered["recipe"]["train"]["passes"] - 1
    assert num_dev <= 80 * mined + 2 * (80 + 80), "a mining, and a measurement a pass"
