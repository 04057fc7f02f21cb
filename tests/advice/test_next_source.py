"""Which source of judgments to buy next, by the learning curve of each."""

import numpy as np
import pytest

from nearer.measure.forecast import forecast, marginal_gain


def test_the_marginal_gain_is_the_difference_of_two_forecasts_and_surer_than_each():
    rng = np.random.default_rng(0)
    base = rng.random(80) * 0.6
    trained = [base + gain + rng.normal(0, 0.02, 80) for gain in (0.06, 0.1)]
    now, then = forecast(base, trained, pairs_T=[100, 200], wanted_F=[200, 600])
    found = marginal_gain(base, trained, pairs_T=[100, 200], span=(200, 600))
    assert found.value == pytest.approx(then.value - now.value)
    assert 0 < found.low <= found.value <= found.high
    assert found.high - found.low < then.high - then.low
    assert marginal_gain([0.1, 0.2], [[0.2, 0.3]], pairs_T=[10], span=(10, 20)).low == -1.0


@pytest.mark.slow
def test_what_each_source_would_bring(ask, base_live, nearer):
    ask(base_live, "synthesize", "--offline", "--each", 3)
    reported = ask(base_live, "advise", "--next-source", 100, "--set", "advise.curve_pairs=60")
    values = {each["source"]: each for each in reported["values"]}
    assert set(values) == {"human", "llm", "synthetic", "clicks"}
    for source in ("human", "synthetic"):
        gain = values[source]["gain"]
        assert gain["low"] <= gain["value"] <= gain["high"]
    assert values["human"]["num_bought"] == 80
    assert values["llm"]["gain"] is None
    assert "0 training pairs" in values["clicks"]["why"]
    assert reported["best"] in (None, "human", "synthetic")
    for options, part in (
        (("--next-source", 0), "above 0"),
        (("--next-source", 10, "--measure"), "goes alone"),
    ):
        assert part in ask(base_live, "advise", *options, code=2)["error"]["message"]
