import dataclasses

import pytest

from nearer.core.errors import Fault, FaultLog, ImportFaults, NearerError, WorkspaceBusy, WorkspaceError
from nearer.core.ids import canonical_json, content_id, text_hash
from nearer.core.progress import Silent
from nearer.core.records import Document, GradeScale, Query


@pytest.mark.parametrize(("largest", "scale"), [(1, (1, 1, 1)), (2, (2, 1, 2)), (3, (3, 2, 3)), (4, (4, 2, 3))])
def test_default_scales(largest, scale):
    made = GradeScale.for_max_grade(largest)
    assert (made.max_grade, made.relevant_from, made.positive_from) == scale


@pytest.mark.parametrize("scale", [(0, 0, 0), (4, 0, 3), (4, 3, 2), (4, 2, 5)])
def test_scales_that_do_not_fit_together_are_refused(scale):
    with pytest.raises(ValueError, match="relevant_from"):
        GradeScale(max_grade=scale[0], relevant_from=scale[1], positive_from=scale[2])


def test_records_are_frozen_and_share_no_metadata():
    document = Document(doc_id="d", text="x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        document.text = "y"
    with pytest.raises(TypeError):
        Query(query_id="q", text="x").metadata["a"] = 1


def test_ids_depend_on_content_not_on_key_order():
    assert content_id("x", {"a": 1, "b": "é"}) == content_id("x", {"b": "é", "a": 1})
    assert content_id("x", {"a": 1}) != content_id("x", {"a": 2})
    assert text_hash("a") != text_hash("a ")
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))


def test_import_faults_show_the_first_and_count_the_rest():
    log = FaultLog()
    for number in range(25):
        log.add(Fault(file="a.jsonl", line=number, reason="bad", remedy="mend"))
    error = ImportFaults(log, hint="h")
    assert "25 faults" in error.message
    assert "... and 5 more" in error.message
    assert "a.jsonl: bad (mend)" in error.message  # line 0 is the file as a whole
    assert "a.jsonl:1: bad (mend)" in error.message
    assert (len(error.log.kept), error.log.is_whole_file) == (25, True)
    assert issubclass(WorkspaceBusy, WorkspaceError)
    assert issubclass(WorkspaceBusy, NearerError)


def test_a_log_of_many_faults_stays_small_and_counts_all():
    log = FaultLog()
    for number in range(1, 5001):
        log.add(Fault(file="a", line=number, reason=f"'d{number}' is already on line 1", remedy="mend"))
        log.add(Fault(file="a", line=number, reason="the grade 7 is above 4", remedy="mend"))
    assert (log.num_faults, log.num_rows, log.is_whole_file) == (10_000, 5000, False)
    assert [len(log.kept), log.kept[0].line] == [FaultLog.KEPT, 1]
    assert log.more == {"... is already on line ...": 4500, "the grade ... is above ...": 4500}
    for number in range(1000):
        log.add(Fault(file="a", line=6000, reason="x" * number, remedy="mend"))
    assert len(log.more) <= FaultLog.MOST_REASONS + 1
    assert log.more["other faults"] > 800


def test_silent_progress_passes_everything_through():
    assert list(Silent().track([1, 2], label="x", total=2)) == [1, 2]
