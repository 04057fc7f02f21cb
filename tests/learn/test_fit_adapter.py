from dataclasses import replace

import numpy as np
import pytest
import torch

from nearer.core.errors import InputError
from nearer.core.progress import Silent
from nearer.learn.fit_adapter import AdapterExamples, AdapterSettings, _Batches, _identity, _loss, fit_adapter
from nearer.vectors.topk import top_k

SIDES = ["query", "shared", "separate"]


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Planted:
    """Queries made of their passages in a way that an adapter can undo; the last third is for dev.

    ``"turned"``: by one rotation, which no map that both sides share can undo, being a symmetric form of the two.
    ``"drowned"``: half of the dimensions are loud and say nothing. ``"clean"``: not at all, there is nothing to learn.
    """

    def __init__(self, how="turned", *, num=240, dimension=16):
        rng = np.random.default_rng(0)
        rotation, _ = np.linalg.qr(rng.standard_normal((dimension, dimension)))
        passages, loud = rng.standard_normal((num, dimension)), np.arange(dimension) < dimension // 2
        queries = passages + rng.standard_normal((num, dimension)) * 0.05
        if how == "turned":
            queries = queries @ rotation
        if how == "drowned":
            passages[:, loud], queries[:, loud] = 2 * rng.standard_normal((2, num, loud.sum()))
        self.passages, self.queries = unit(passages), unit(queries)
        self.num_train = num * 2 // 3
        self.dev_rows = np.arange(self.num_train, num)

    def examples(self, **changes):
        train = self.queries[: self.num_train]
        values = {
            "query_emb_QD": train,
            "passage_emb_PD": self.passages,
            "positives": [[row] for row in range(self.num_train)],
            "negatives_QC": top_k(train, self.passages, k=10).rows_QK,
            **changes,
        }
        return AdapterExamples(**values)

    def dev(self, adapter):
        """The share of dev queries whose passage comes first."""
        queries = adapter.apply_queries(self.queries[self.dev_rows])
        found = top_k(queries, adapter.apply_documents(self.passages), k=1).rows_QK[:, 0]
        return float((found == self.dev_rows).mean())


def fit(planted, examples=None, *, measure_dev=None, **settings):
    values = {"learning_rate": 0.01, "l2_sp": 0.0, "batch_size": 32, **settings}
    return fit_adapter(
        examples or planted.examples(),
        settings=AdapterSettings(**values),
        space_id="enc-1",
        measure_dev=measure_dev or planted.dev,
        progress=Silent(),
    )


@pytest.mark.parametrize("sides", SIDES)
def test_what_was_planted_is_recovered(sides):
    planted = Planted("drowned" if sides == "shared" else "turned")
    adapter, report = fit(planted, sides=sides, max_epochs=40)
    assert report.dev[0].value < 0.2
    assert planted.dev(adapter) == max(point.value for point in report.dev) > 0.6
    assert report.best_step == next(point.step for point in report.dev if point.value == planted.dev(adapter))
    assert (adapter.space_id, adapter.document is None) == ("enc-1", sides == "query")
    assert (adapter.document is adapter.query) == (sides == "shared")


def test_of_noise_nothing_is_learned_and_step_0_is_returned():
    planted = Planted("clean")
    rng = np.random.default_rng(3)
    nonsense = planted.examples(positives=[[int(row)] for row in rng.integers(0, 240, planted.num_train)])
    adapter, report = fit(planted, nonsense, learning_rate=0.1, patience=3)
    assert report.dev[0].value == 1.0
    assert min(point.value for point in report.dev) < 0.5
    assert (report.best_step, report.stopped_early, len(report.dev)) == (0, True, 4)
    np.testing.assert_array_equal(adapter.query.weights["matrix"], np.eye(16))
    assert planted.dev(adapter) == 1.0


def test_the_best_of_dev_is_returned_though_training_went_on():
    values = iter([0.5, 0.6, 0.9, 0.9, 0.7])
    measured = []

    def measure_dev(adapter):
        measured.append(adapter)
        return next(values)

    adapter, report = fit(Planted(), measure_dev=measure_dev, patience=2)
    assert adapter is measured[2]
    steps_each = report.dev[1].step
    assert [(point.step, point.value) for point in report.dev] == [
        (steps_each * epoch, value) for epoch, value in enumerate([0.5, 0.6, 0.9, 0.9, 0.7])
    ]
    assert (report.best_step, report.num_steps, report.stopped_early) == (2 * steps_each, 4 * steps_each, True)
    assert not np.array_equal(measured[2].query.weights["matrix"], measured[3].query.weights["matrix"])


@pytest.mark.parametrize("sides", SIDES)
def test_a_seed_gives_the_same_adapter_and_another_another(sides):
    planted = Planted()

    def learned(seed):
        return fit(planted, sides=sides, max_epochs=2, seed=seed, measure_dev=rising())[0].adapter_id

    state = torch.random.get_rng_state()
    assert learned(1) == learned(1) != learned(2)
    assert torch.equal(torch.random.get_rng_state(), state)


def rising():
    """A dev on which every epoch is better than the one before."""
    values = iter(range(1000))
    return lambda adapter: float(next(values))


def test_a_stronger_pull_stays_nearer_to_the_start():
    planted = Planted()

    def distance(pull):
        adapter, _ = fit(planted, l2_sp=pull, max_epochs=5, measure_dev=rising())
        return float(np.linalg.norm(adapter.query.weights["matrix"] - np.eye(16)))

    assert distance(0.0) > distance(0.1) > distance(10.0) > 0


def batches(examples, **settings):
    return _Batches(examples, AdapterSettings(**settings), np.random.default_rng(0))


SMALL = AdapterExamples(
    query_emb_QD=unit(np.random.default_rng(0).standard_normal((3, 4))),
    passage_emb_PD=unit(np.random.default_rng(1).standard_normal((8, 4))),
    positives=[[0, 1], [2], [3]],
    negatives_QC=np.array([[1, 4, -1], [5, 3, 2], [-1, -1, -1]]),
    masked=[[], [6], [4]],
)


def test_positives_and_masked_rows_are_never_negatives():
    for _ in range(20):
        batch = next(batches(SMALL, batch_size=10, num_negatives=3).epoch())
        columns = [int((SMALL.passage_emb_PD == vector.numpy()).all(axis=1).argmax()) for vector in batch.passages_XD]
        assert columns == sorted({0, 1, 2, 3} | {row for row in columns if row in (4, 5)})
        forbidden = {0: {0, 1}, 1: {2, 6}, 2: {3, 4}}
        for vector, target, masked in zip(batch.queries_BD, batch.target_B.tolist(), batch.masked_BX, strict=True):
            query = int((SMALL.query_emb_QD == vector.numpy()).all(axis=1).argmax())
            assert columns[target] in SMALL.positives[query]
            excluded = {row for row, out in zip(columns, masked.tolist(), strict=True) if out}
            assert excluded == (forbidden[query] & set(columns)) - {columns[target]}


def test_negatives_are_drawn_from_the_querys_own_unmasked_candidates():
    found = batches(SMALL, num_negatives=50)._draw(np.array([0, 1, 2]))
    assert set(found.tolist()) == {4, 5, 3}
    assert len(found) == 100  # the third query has no candidates
    no_columns = replace(SMALL, negatives_QC=np.empty((3, 0), np.int64))
    assert batches(no_columns)._draw(np.array([0, 1, 2])).tolist() == []


def test_masked_passages_get_no_gradient():
    [batch] = batches(replace(SMALL, negatives_QC=np.full((3, 1), -1)), batch_size=10).epoch()
    passages = batch.passages_XD.clone().requires_grad_()
    alone = int((batch.target_B == 0).nonzero()[0])  # the pair of query 0 with passage 0: passage 1 is masked
    one = replace(
        batch,
        queries_BD=batch.queries_BD[[alone]],
        passages_XD=passages,
        target_B=batch.target_B[[alone]],
        masked_BX=batch.masked_BX[[alone]],
    )
    start = _identity(4, "query", space_id="enc-1")
    weights = {name: torch.from_numpy(weight) for name, weight in start.query.weights.items()}
    loss = _loss(replace(start, query=replace(start.query, weights=weights)), one, scale=20.0)
    (gradient,) = torch.autograd.grad(loss, passages)
    assert [bool(row.any()) for row in gradient] == [True, False, True, True]
    cosine = (batch.queries_BD[alone] @ batch.passages_XD[[0, 2, 3]].T) * 20
    assert loss.item() == pytest.approx(-torch.log_softmax(cosine, 0)[0].item(), rel=1e-5)


def test_one_pair_is_enough_to_run():
    tiny = AdapterExamples(
        query_emb_QD=SMALL.query_emb_QD[:1],
        passage_emb_PD=SMALL.passage_emb_PD[:1],
        positives=[[0]],
        negatives_QC=np.array([[0]]),
    )
    adapter, report = fit(Planted(), tiny, measure_dev=lambda adapter: 0.5)
    assert (report.num_examples, report.best_step) == (1, 0)
    np.testing.assert_allclose(adapter.apply_queries(SMALL.query_emb_QD), SMALL.query_emb_QD, atol=1e-6)


def test_the_report_counts_pairs_and_steps():
    _, report = fit_adapter(
        SMALL,
        settings=AdapterSettings(batch_size=3, max_epochs=2, patience=9),
        space_id="enc-1",
        measure_dev=lambda adapter: 0.5,
        progress=Silent(),
    )
    assert (report.num_examples, report.num_steps, report.stopped_early) == (4, 4, False)


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"passage_emb_PD": np.ones((8, 5), np.float32)}, {}, "dimension"),
        ({"query_emb_QD": np.full((3, 4), np.nan, np.float32)}, {}, "not finite"),
        ({"passage_emb_PD": np.full((8, 4), np.inf, np.float32)}, {}, "not finite"),
        ({"positives": [[0], [1]]}, {}, "lack positives or negatives"),
        ({"negatives_QC": np.array([[1]])}, {}, "lack positives or negatives"),
        ({"query_emb_QD": np.empty((0, 4), np.float32)}, {}, "lack positives or negatives"),
        ({"positives": [[0], [], [3]]}, {}, "no positive"),
        ({"masked": [[0]]}, {}, "other queries"),
        ({"positives": [[0], [8], [3]]}, {}, "outside 0 to 7"),
        ({"masked": [[], [-1], []]}, {}, "outside 0 to 7"),
        ({"negatives_QC": np.full((3, 1), 8)}, {}, "outside 0 to 7"),
    ],
)
def test_refuses(changes, settings, message):
    with pytest.raises(InputError, match=message):
        fit(Planted(), replace(SMALL, **changes), **settings)


def test_weights_that_diverge_are_an_error_not_an_adapter():
    with pytest.raises(InputError, match="diverged"):
        fit(Planted(), learning_rate=3e37, measure_dev=lambda adapter: 0.5)
