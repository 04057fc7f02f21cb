from dataclasses import replace

import pytest

from nearer.core.results.measuring import Comparison
from nearer.measure.gate import GateEvidence, Policy, SliceEvidence, decide, with_index_faults

POLICY = Policy(measure="nDCG@10", min_gain=0.01, min_slice_queries=50, alpha=0.05)


def comparison(difference, low, *, p_value=0.001, metric="nDCG@10"):
    return Comparison(
        metric=metric,
        difference=difference,
        low=low,
        high=2 * difference - low,
        p_value=p_value,
        num_wins=1,
        num_losses=1,
        num_ties=1,
    )


def a_slice(difference, *, p_value, num_queries=60, num_groups=60):
    return SliceEvidence(
        num_queries=num_queries,
        num_groups=num_groups,
        comparison=comparison(difference, difference - 0.02, p_value=p_value),
    )


def evidence(*, gain=0.03, low=0.02, slices=None):
    return GateEvidence(comparison=comparison(gain, low), slices=slices or {})


def test_a_proven_gain_is_promoted():
    verdict = decide(evidence(slices={"lang=en": a_slice(0.02, p_value=0.001)}), POLICY)
    assert verdict.promoted
    assert verdict.reasons == ()
    assert verdict.notes == ()


@pytest.mark.parametrize("low", [0.01, 0.0, -0.02])
def test_the_lower_end_must_exceed_the_gain_asked_for(low):
    verdict = decide(evidence(low=low), POLICY)
    assert not verdict.promoted
    (reason,) = verdict.reasons
    assert f"+0.0300 [{low:+.4f}, " in reason
    assert "p = 0.0010, and the lower end must exceed +0.0100" in reason


def test_a_slice_proven_worse_refuses():
    verdict = decide(evidence(slices={"lang=de": a_slice(-0.05, p_value=0.01)}), POLICY)
    assert not verdict.promoted
    assert verdict.reasons == (
        "Slice lang=de is worse in nDCG@10: -0.0500 [-0.0700, -0.0300], 60 queries, p = 0.0100 after Holm, "
        "at most 0.05.",
    )


def test_holm_counts_every_eligible_slice():
    slices = {"lang=de": a_slice(-0.05, p_value=0.01)} | {f"x={i}": a_slice(0.01, p_value=0.9) for i in range(5)}
    verdict = decide(evidence(slices=slices), POLICY)
    assert verdict.promoted
    (note,) = verdict.notes
    assert note.startswith("Slice lang=de is inconclusive")
    assert "p = 0.0600 after Holm" in note


def test_small_slices_are_counted_and_weigh_nothing():
    slices = {
        "lang=de": a_slice(-0.05, p_value=0.03),
        "few queries": a_slice(-0.5, p_value=0.0001, num_queries=49),
        "one group": a_slice(-0.5, p_value=0.0001, num_groups=1),
        "few and better": a_slice(0.5, p_value=0.0001, num_queries=2),
    }
    verdict = decide(evidence(slices=slices), POLICY)
    assert len(verdict.reasons) == 1
    assert "lang=de" in verdict.reasons[0]
    assert verdict.notes == (
        "3 of 4 slices are too small to judge (fewer than 50 queries, or a single group); 2 of them fell.",
    )


def test_index_faults_refuse():
    promoted = replace(decide(evidence(), POLICY), reasons=("it gains",), notes=("a note",))
    verdict = with_index_faults(promoted, ["12 documents have no vector", "spaces differ"])
    assert not verdict.promoted
    assert verdict.reasons == (
        "The index has a fault: 12 documents have no vector",
        "The index has a fault: spaces differ",
    )
    assert verdict.notes == ("it gains", "a note")
    assert with_index_faults(promoted, []) is promoted
    forced = with_index_faults(decide(evidence(low=-0.1), POLICY), ["gone"])
    assert [reason.split(" ")[1] for reason in forced.reasons] == ["gain", "index"]


def test_every_reason_is_given():
    bad = evidence(low=-0.1, slices={"a=b": a_slice(-0.1, p_value=0.001)})
    assert len(decide(bad, POLICY).reasons) == 2


def test_evidence_of_another_measure_is_a_bug():
    other = GateEvidence(comparison=comparison(0.1, 0.05, metric="MAP"), slices={})
    with pytest.raises(AssertionError):
        decide(other, POLICY)


def test_an_interval_above_zero_needs_randomisation_to_agree():
    few_groups = GateEvidence(comparison=comparison(0.05, 0.02, p_value=0.2), slices={})
    verdict = decide(few_groups, POLICY)
    assert not verdict.promoted
    assert "by randomisation" in verdict.reasons[0]
