"""Which tests only ``make test-all`` runs: those that repeat for one more place what another test proves of one.

``make test`` keeps a case of each mechanism: a kill of each kind of writer and of a training, a resumed run of each
kind of model, the hostile files, one state machine, two processes that train together.
"""

from collections.abc import Mapping

import pytest

EXHAUSTIVE: Mapping[str, tuple[str, ...]] = {
    "flows/test_adapt.py::test_a_killed_training_leaves_all_or_nothing_and_can_be_repeated": ("adapt.model",),
    "flows/test_api_encoder.py::test_a_killed_job_goes_on_and_pays_only_for_the_rest": ("cache.commit:5",),
    "flows/test_budget.py::test_killed_for_real_at_every_step_it_can_be_repeated": (),
    "flows/test_budget.py::test_killed_it_goes_on_with_the_same_choice_and_the_time_that_is_left": ("train.budget-2",),
    "flows/test_budget.py::test_a_search_within_a_time_shares_it": (),
    "flows/test_devices.py::test_when_the_first_process_dies_the_other_ends_and_one_alone_goes_on": ("train.pass:2",),
    "flows/test_faults.py::test_a_full_disk_is_told_and_nothing_is_half_done": ("train-", "index-"),
    "flows/test_guiding.py::test_killed_in_both_passes_it_makes_the_same_model": (),
    "flows/test_index.py::test_a_killed_update_leaves_the_old_index_or_the_new_one": (),
    "flows/test_kill.py::test_killed_at_a_step": (
        "import.commit-add",
        "remove.commit-remove",
        "cache.commit-train",
        "index.manifest-index",
        "registry.pointer-promote",
    ),
    "flows/test_kill.py::test_killed_at_any_time": (),
    "flows/test_learning_curve.py::test_the_same_again_gives_the_same_curve": (),
    "flows/test_warm_start.py::test_cut_short_it_ends_the_same": (),
    "flows/test_merge.py::test_killed_at_a_step_it_can_be_repeated": ("merge.registered",),
    "flows/test_mining.py::test_a_run_of_several_rounds_cut_short_everywhere_ends_the_same": (),
    "flows/test_query_side.py::test_killed_at_a_step_it_makes_the_same_model": ("train.model",),
    "flows/test_resume.py::test_killed_again_and_again_it_ends_the_same": (),
    "flows/test_sources.py::test_a_training_that_was_cut_short_ends_the_same_whatever_the_order": (),
    "flows/test_stateful.py::test_whatever_was_acknowledged_is_there_and_search_is_exact": ("exact",),
    "flows/test_train_reranker.py::test_killed_at_every_step_again_and_again_it_ends_the_same": (),
    "flows/test_train_reranker.py::test_without_room_or_permission_it_says_so_and_nothing_is_half_done": (),
    "hostile/test_hostile.py::test_what_is_huge_takes_little_memory": ("corpus-bomb-zeros.jsonl.gz",),
    "hostile/test_hostile.py::test_the_files_and_their_manifest_can_be_written_for_others": (),
    "learn/test_fit_reranker.py::test_cut_after_each_checkpoint_it_ends_as_the_whole_one": ("dev",),
    "learn/test_resume.py::test_a_pass_cut_short_again_and_again_ends_as_the_whole_one": ("dev", "lora"),
    "retrieval/test_kill.py::test_an_update": ("exact-manifest", "lancedb-manifest"),
    "retrieval/test_kill.py::test_a_build_beside_an_index_of_either_kind": ("exact-lancedb-manifest",),
}
"""Test functions by file, and the ids of the cases that ``make test`` keeps of each."""


def mark_exhaustive(items: list[pytest.Item]) -> None:
    """Mark the cases that ``make test`` leaves out."""
    for item in items:
        name, _, case = item.nodeid.partition("[")
        kept = EXHAUSTIVE.get(name.removeprefix("tests/"))
        if kept is not None and case.removesuffix("]") not in kept:
            item.add_marker(pytest.mark.exhaustive)
