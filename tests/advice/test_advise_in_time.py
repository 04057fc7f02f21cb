"""Advice within a time: what it takes is said first, and what does not fit or cannot tell is left out."""

import pytest

from nearer.advice import learning_curve as curve
from nearer.advice.learning_curve import _Size, _sizes
from nearer.core.errors import InputError
from nearer.core.results.training_plan import Costs
from nearer.encode.encoder import Encoder
from nearer.flows.advise import advise
from nearer.store.workspace import Workspace
from said import Said

SHORT = ("advise.curve_pairs=60", "evaluate.num_resamples=100")


@pytest.fixture
def asked(base_live):
    """Ask for advice; what it is, and what was said."""

    def ask(*overrides, **options):
        workspace, said = Workspace.open(base_live, overrides=(*SHORT, *overrides)), Said()
        try:
            return advise(workspace, confirm_on_test=False, progress=said, **options), said.said
        finally:
            workspace.close()

    return ask


class Clock:
    """Time that passes by what is encoded or read, a second a text."""

    def __init__(self, monkeypatch, text_s):
        self.now, encode = 0.0, Encoder._encode

        def encoded(encoder, texts, **asked):
            self.now += text_s * len(texts)
            return encode(encoder, texts, **asked)

        monkeypatch.setattr(Encoder, "_encode", encoded)

    def __call__(self):
        return self.now


def test_what_remedies_take_is_said_before_any_is_measured(asked):
    _, said = asked()
    [reported] = [place for place, line in enumerate(said) if line.startswith(("will take about", "takes seconds"))]
    [first] = [place for place, line in enumerate(said) if line.startswith(("base+bm25", "bm25"))][:1]
    assert reported < first


@pytest.mark.exhaustive
def test_a_curve_that_cannot_tell_is_left_out(asked, monkeypatch):
    monkeypatch.setattr(curve, "FEWEST_QUERIES", 10**6)
    advice, _ = asked()
    [reason] = [each.reason for each in advice.not_measured if each.name == "fine_tune"]
    assert "cannot tell what training gains" in reason


def test_what_there_is_no_time_for_is_left_out_and_named(asked, monkeypatch):
    clock = Clock(monkeypatch, text_s=0.01)
    advice, _ = asked(budget=1.0, clock=clock)
    assert [each.name for each in advice.remedies] == ["base"]
    reasons = {each.name: each.reason for each in advice.not_measured}
    assert reasons.keys() >= {"fine_tune", "adapter", "base+rerank"}
    assert all("s are left" in reason for reason in reasons.values())


def test_a_time_that_encoding_alone_takes_is_refused_at_once(asked, base_live, monkeypatch):
    for path in (base_live / ".nearer" / "embeddings").iterdir():
        path.unlink()
    clock = Clock(monkeypatch, text_s=1.0)
    with pytest.raises(InputError, match="some 80 passages of 80 documents are to be encoded first") as caught:
        asked(budget=30.0, clock=clock)
    assert "--budget 3m" in caught.value.hint
    assert clock.now <= 30


def test_a_curve_has_as_many_pairs_as_there_is_time_for():
    size = _Size(pair=100.0, passage=80.0, batch_size=10, most_passages=2000)
    costs = Costs(encode_s=0.001, train_s=0.003, step_s=0.0)
    sizes = _sizes(curve.SHARES, 600)
    assert sizes == [150, 300, 600]
    whole_s = size.seconds(sizes, costs)
    assert whole_s == pytest.approx(1050 * 100 * 0.003 + 3 * size.num_passages(600) * 80 * 0.001)
    assert size.within(sizes, curve.SHARES, costs, time_s=whole_s) == sizes
    assert size.within(sizes, curve.SHARES, costs, time_s=whole_s / 2)[-1] == 300
    with pytest.raises(InputError, match="s are left"):
        size.within(sizes, curve.SHARES, costs, time_s=1.0)


def test_measuring_a_curve_takes_a_fifth_of_its_training():
    size = _Size(pair=100.0, passage=80.0, batch_size=10, most_passages=2000)
    assert size.num_passages(600) == int(0.2 * 3 * 600 * 100 / 80)
    assert size.num_passages(10) == 200
    assert size.num_passages(10**6) == 2000
