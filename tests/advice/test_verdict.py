"""The verdict from what was measured: every word, its precedence, and the reasons."""

from dataclasses import replace

import pytest

from nearer.advice.verdict import RECOMMENDATIONS, AdviceCase, Rules, Tried, decide
from nearer.core.errors import InputError

RULES = Rules(
    tolerance=0.01,
    min_pairs=1000,
    cheapest_first=("filter", "hybrid", "rerank", "adapter", "fine_tune"),
)
CASE = AdviceCase(base=0.60, num_queries=400, num_diagnosed=200, causes={"recall": 60, "order": 40}, num_pairs=5000)


def tried(name, word, gain, *, half=0.005):
    return Tried(name=name, word=word, value=0.60 + gain, difference=gain, low=gain - half, high=gain + half)


HYBRID = tried("hybrid", "hybrid", 0.03)
ADAPTER = tried("adapter:query", "adapter", 0.035)
TUNED = tried("fine_tune", "fine_tune", 0.10)


def test_the_cheapest_near_the_best_is_taken():
    decision = decide(CASE, [ADAPTER, HYBRID], RULES)
    assert (decision.word, decision.name) == ("hybrid", "hybrid")
    assert "The best is adapter:query" in decision.reasons[1]
    assert "cheaper and within 0.01" in decision.reasons[2]


def test_what_a_gain_was_measured_on_is_said_where_that_is_another_set():
    tuned = replace(TUNED, basis="forecast from 25 dev queries")
    [best] = [reason for reason in decide(CASE, [HYBRID, tuned], RULES).reasons if "The best is" in reason]
    assert best.endswith("[+0.095, +0.105], forecast from 25 dev queries.")


def test_the_order_of_cost_is_the_recipes():
    dear = replace(RULES, cheapest_first=("adapter", "hybrid"))
    assert decide(CASE, [ADAPTER, HYBRID], dear).word == "adapter"


def test_the_best_is_taken_when_nothing_is_near():
    assert decide(CASE, [HYBRID, ADAPTER, TUNED], RULES).word == "fine_tune"


def test_of_one_word_the_earlier_is_the_cheaper():
    both = [tried("rrf", "hybrid", 0.03), tried("hybrid", "hybrid", 0.035)]
    assert decide(CASE, both, RULES).name == "rrf"
    assert decide(CASE, both[::-1], RULES).name == "hybrid"


def test_an_unproven_gain_is_none():
    shaky = tried("hybrid", "hybrid", 0.03, half=0.04)
    decision = decide(CASE, [shaky], RULES)
    assert (decision.word, decision.name) == ("leave", "base")
    assert "No remedy is proven" in decision.reasons[1]


def test_a_proven_gain_within_the_tolerance_is_not_worth_it():
    assert decide(CASE, [tried("hybrid", "hybrid", 0.009, half=0.001)], RULES).word == "leave"


def test_without_gain_and_without_pairs_data_must_be_collected():
    few = replace(CASE, num_pairs=999)
    assert decide(few, [tried("hybrid", "hybrid", -0.02)], RULES).word == "collect_data"
    assert decide(few, [], RULES).word == "collect_data"
    assert decide(replace(few, base=0.97), [], RULES).word == "leave"
    assert decide(few, [HYBRID], RULES).word == "hybrid"


@pytest.mark.parametrize("cause", ["absent", "stale_index", "truncated"])
def test_data_that_nothing_mends_comes_first(cause):
    decision = decide(replace(CASE, causes={cause: 20, "recall": 50}), [TUNED], RULES)
    assert decision.word == "fix_data"
    assert f"20 of 200 queries fail for data that no remedy mends (20 {cause})" in decision.reasons[1]
    assert decide(replace(CASE, causes={cause: 19, "recall": 1}), [TUNED], RULES).word == "fine_tune"


def test_one_failure_among_many_queries_is_no_reason_to_mend_the_data():
    good = replace(CASE, base=0.98, causes={"truncated": 1, "chunking": 1})
    assert decide(good, [tried("hybrid", "hybrid", 0.007, half=0.004)], RULES).word == "leave"


def test_a_doubtful_label_is_no_fault():
    assert decide(replace(CASE, causes={"doubtful_label": 99, "recall": 1}), [TUNED], RULES).word == "fine_tune"


def test_a_broken_base_that_nothing_mends_is_faulty_data():
    broken = replace(CASE, base=0.1)
    assert decide(broken, [tried("hybrid", "hybrid", 0.007, half=0.02)], RULES).word == "fix_data"
    assert decide(broken, [TUNED], RULES).word == "fine_tune"


def test_it_is_said_when_hardly_anything_found_was_judged():
    reasons = decide(replace(CASE, base=0.1, judged=0.03), [TUNED], RULES).reasons
    assert "Only 3% of the ten best documents are judged" in reasons[1]
    assert not any("are judged," in reason for reason in decide(replace(CASE, judged=0.1), [TUNED], RULES).reasons)


def test_a_filter_is_kept_beside_training():
    decision = decide(CASE, [tried("base+filter", "filter", 0.05), TUNED], RULES)
    assert decision.word == "fine_tune_and_pipeline"
    assert "base+filter uses what the texts do not say" in decision.reasons[-1]


def test_what_training_leaves_of_the_target_is_the_pipelines():
    decision = decide(replace(CASE, target=0.8), [HYBRID, TUNED], RULES)
    assert decision.word == "fine_tune_and_pipeline"
    assert decide(replace(CASE, target=0.65), [HYBRID, TUNED], RULES).word == "fine_tune"


def test_training_that_gains_no_more_is_passed_over_and_named():
    decision = decide(CASE, [tried("base+filter", "filter", 0.095), TUNED], RULES)
    assert decision.word == "filter"
    assert any("Fine-tuning is expected to gain no more" in reason for reason in decision.reasons)


def test_every_verdict_is_a_known_recommendation():
    for case, options in [(CASE, []), (CASE, [HYBRID]), (CASE, [TUNED]), (replace(CASE, num_pairs=1), [])]:
        assert decide(case, options, RULES).word in RECOMMENDATIONS


def test_an_unknown_word_in_the_order_is_refused():
    with pytest.raises(InputError, match="'filtre' is no remedy"):
        replace(RULES, cheapest_first=("filtre",))


UNREAD = replace(CASE, base=0.13, unread="81% (Telugu) of the tokens of documents")


def test_a_base_that_cannot_read_the_texts_is_not_trained():
    decision = decide(UNREAD, [ADAPTER, TUNED], RULES)
    assert (decision.word, decision.name) == ("change_encoder", None)
    assert "does not know 81% (Telugu) of the tokens of documents" in decision.reasons[1]
    assert "another base" in decision.reasons[1]


def test_what_does_without_reading_is_reported_as_the_best_until_then():
    decision = decide(UNREAD, [HYBRID, ADAPTER, TUNED], RULES)
    assert (decision.word, decision.name) == ("hybrid", "hybrid")
    assert "Until then the best is hybrid" in decision.reasons[-1]


def test_another_base_that_was_measured_is_advised():
    other = tried("other", "change_encoder", 0.5)
    assert decide(UNREAD, [HYBRID, other, TUNED], RULES).name == "other"


def test_a_base_that_is_good_enough_reads_what_matters():
    assert decide(replace(UNREAD, base=0.97), [], RULES).word == "leave"
