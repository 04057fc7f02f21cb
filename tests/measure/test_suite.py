from dataclasses import replace

import pytest

from measure.test_gate import POLICY, evidence
from nearer.core.records import Case
from nearer.measure.gate import SuiteEvidence, decide, judge_suite
from nearer.measure.suite import Place, newly_failing, run_case

RANKING = [f"d{n}" for n in range(1, 21)]


def case(name="refund", **fields):
    return Case(name=name, query="money back", **{"must": ("d1",), **fields})


def passing(**fields):
    return run_case(case(**fields), RANKING)


def failing(**fields):
    return run_case(case(**fields), RANKING[::-1])


def test_documents_are_looked_for_among_the_first_k():
    assert passing(must=("d10", "d1"), must_not=("d11", "d99")).passed
    found = passing(must=("d2", "d11", "d99"), must_not=("d3", "d10", "d12"))
    assert found.missing == (Place(doc_id="d11", rank=11), Place(doc_id="d99", rank=None))
    assert found.forbidden == (Place(doc_id="d3", rank=3), Place(doc_id="d10", rank=10))
    assert found.why() == (
        "'d11' is at rank 11, not among the first 10; 'd99' is not among the first 20; "
        "'d3' is at rank 3, but must not be among the first 10; 'd10' is at rank 10, but must not be among the first 10"
    )
    assert not passing(must=("d2",), k=1).passed
    assert passing(must=("d2",), k=2).passed


def test_a_ranking_shorter_than_k_holds_what_it_holds():
    assert run_case(case(must_not=("d3",), k=10), ["d1", "d2"]).passed
    assert not run_case(case(), []).passed


def test_newly_failing_and_mended_are_each_other_turned_round():
    before, after = (passing(name="a"), failing(name="b"), failing(name="c")), (failing(name="a"), passing(name="b"))
    after = (*after, failing(name="c"))
    assert [each.case.name for each in newly_failing(before, after)] == ["a"]
    assert [each.case.name for each in newly_failing(after, before)] == ["b"]
    with pytest.raises(AssertionError):
        newly_failing(before[:2], after)


def judged(severity, *, before, after):
    """Reasons and notes on one case that passed (True), failed (False), or was not run before (None)."""
    run = {True: passing, False: failing}
    baseline = None if before is None else (run[before](severity=severity),)
    return judge_suite(SuiteEvidence(candidate=(run[after](severity=severity),), baseline=baseline))


@pytest.mark.parametrize("severity", ["critical", "major", "minor"])
@pytest.mark.parametrize("before", [True, False, None])
def test_a_case_that_passes_is_nothing_to_speak_of(severity, before):
    assert judged(severity, before=before, after=True) == ([], [])


@pytest.mark.parametrize("before", [True, False, None])
def test_a_critical_case_that_fails_refuses_whatever_the_baseline_did(before):
    (reason,), notes = judged("critical", before=before, after=False)
    says = "newly fails" if before else "fails"
    assert reason == f"Critical case 'refund' {says}: 'd1' is at rank 20, not among the first 10."
    assert notes == []


def test_a_major_case_refuses_only_where_it_passed_before():
    (reason,), notes = judged("major", before=True, after=False)
    assert reason.startswith("Major case 'refund' newly fails: 'd1' is at rank 20")
    assert notes == []
    reasons, (note,) = judged("major", before=False, after=False)
    assert (reasons, note) == (
        [],
        "Cases of the suite that fail and do not refuse: 1 major; the baseline fails them too.",
    )
    reasons, (note,) = judged("major", before=None, after=False)
    assert (reasons, note) == (
        [],
        "Cases of the suite that fail and do not refuse: 1 major; there is nothing to compare with.",
    )


def test_a_minor_case_never_refuses_and_is_noted_where_it_newly_fails():
    reasons, (note,) = judged("minor", before=True, after=False)
    assert reasons == []
    assert note.startswith("Minor case 'refund' newly fails")
    reasons, (note,) = judged("minor", before=False, after=False)
    assert reasons == []
    assert "1 minor" in note


def test_every_failing_case_is_named_and_each_by_itself():
    names = ("a", "b", "c", "d")
    severities = ("critical", "major", "minor", "major")
    ran = dict(zip(names, severities, strict=True))
    before = tuple((failing if name == "d" else passing)(name=name, severity=each) for name, each in ran.items())
    after = tuple(failing(name=name, severity=each) for name, each in ran.items())
    reasons, notes = judge_suite(SuiteEvidence(candidate=after, baseline=before))
    assert [reason.split("'")[1] for reason in reasons] == ["a", "b"]
    assert len(notes) == 2


def test_the_gate_gives_the_suites_reasons_beside_its_own():
    suite = SuiteEvidence(candidate=(failing(severity="critical"),), baseline=(failing(severity="critical"),))
    measured = evidence()
    assert decide(measured, POLICY).promoted
    refused = decide(replace(evidence(low=-0.1), suite=suite), POLICY)
    assert not refused.promoted
    assert [reason.split(" ")[0] for reason in refused.reasons] == ["The", "Critical"]
    assert not decide(replace(measured, suite=suite), POLICY).promoted
