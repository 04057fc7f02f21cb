from itertools import combinations

import pytest

from nearer.measure.diagnosis import BY_RANK, CAUSES, Limits, Missed, MissEvidence, cause_of, missed_document

PROVEN = [cause for cause in CAUSES if cause not in BY_RANK]


def test_the_order_of_precedence_is_written_down():
    assert list(CAUSES) == [
        "absent",
        "stale_index",
        "unknown_tokens",
        "doubtful_label",
        "truncated",
        "structure",
        "exact_identifier",
        "chunking",
        "order",
        "depth",
        "recall",
    ]


@pytest.mark.parametrize(("earlier", "later"), list(combinations(PROVEN, 2)))
def test_of_two_proven_causes_the_earlier_counts(earlier, later):
    for proven in ([earlier, later], [later, earlier]):
        assert cause_of(MissEvidence(rank=2, proven=proven), Limits()) == earlier


@pytest.mark.parametrize("cause", PROVEN)
@pytest.mark.parametrize("rank", [None, 1, 2, 50, 5000])
def test_what_was_proven_comes_before_what_the_rank_says(cause, rank):
    assert cause_of(MissEvidence(rank=rank, proven=[cause]), Limits()) == cause


@pytest.mark.parametrize(
    ("rank", "cause"),
    [(2, "order"), (20, "order"), (21, "depth"), (100, "depth"), (101, "recall"), (None, "recall")],
)
def test_where_nothing_was_proven_the_rank_decides(rank, cause):
    assert cause_of(MissEvidence(rank=rank), Limits()) == cause


def test_the_limits_can_be_moved():
    limits = Limits(order_within=3, recall_within=5)
    assert [cause_of(MissEvidence(rank=rank), limits) for rank in (3, 4, 6)] == ["order", "depth", "recall"]


def test_every_cause_says_what_it_means_and_what_would_mend_it():
    assert all(each.meaning and each.remedy for each in CAUSES.values())
    assert len({each.remedy for each in CAUSES.values()}) == len(CAUSES)


def missed(rows, grades, wanted, relevant_from=1):
    return missed_document(rows, grades, wanted, relevant_from=relevant_from)


def test_the_best_ranked_relevant_document_was_missed():
    assert missed([5, 1, 6, 2], [0, 1, 0, 1], {1: 1, 2: 1}) == Missed(row=1, rank=2, above=(5,))


def test_a_relevant_document_at_the_top_was_not_missed():
    assert missed([1, 5, 2], [1, 0, 1], {1: 1, 2: 1}) == Missed(row=2, rank=3, above=(5,))
    assert missed([1, 2, 5], [1, 1, 0], {1: 1, 2: 1}) is None


def test_a_document_that_was_not_ranked_was_missed():
    assert missed([5, 6], [0, 0], {1: 1}) == Missed(row=1, rank=None, above=(5, 6))
    assert missed([], [], {1: 1}) == Missed(row=1, rank=None, above=())
    assert missed([1], [1], {1: 1, 2: 1}) == Missed(row=2, rank=None, above=())


def test_of_several_that_were_not_ranked_the_best_graded_was_missed():
    assert missed([5], [0], {1: 2, 2: 4}, relevant_from=2) == Missed(row=2, rank=None, above=(5,))


def test_higher_grades_above_are_no_fault_and_lower_ones_are():
    assert missed([1, 2], [4, 2], {1: 4, 2: 2}, relevant_from=2) is None
    assert missed([2, 1], [2, 4], {1: 4, 2: 2}, relevant_from=2) == Missed(row=1, rank=2, above=(2,))


def test_a_relevant_document_is_missed_before_one_that_is_only_partly_so():
    wanted = {1: 1, 2: 4}
    assert missed([5, 1, 2], [0, 1, 4], wanted, relevant_from=2) == Missed(row=2, rank=3, above=(5, 1))
    assert missed([2, 5, 1], [4, 0, 1], wanted, relevant_from=2) == Missed(row=1, rank=3, above=(5,))


def test_what_no_corpus_holds_stands_above_too():
    assert missed([-1, 1], [0, 1], {1: 1}) == Missed(row=1, rank=2, above=(-1,))
    assert missed([], [], {}) is None
