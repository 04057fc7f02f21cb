"""Which tests only ``make test-all`` runs: those that repeat for one more place what another test proves of one.

They are the dear ones of their kind: tests that take a blink stay, however many there are.

``make test`` keeps a case of each mechanism: a kill of each kind of writer and of a training, a resumed run of each
kind of model, the hostile files, one state machine, two processes that train together.
"""

from collections.abc import Mapping

import pytest

EXHAUSTIVE: Mapping[str, tuple[str, ...]] = {
    "flows/test_devices.py::test_when_another_process_dies_the_first_says_so_and_the_command_can_be_repeated": (),
    "flows/test_demo_loop.py::test_two_turns_end_in_a_page": (),
    "flows/test_adapt.py::test_a_killed_training_leaves_all_or_nothing_and_can_be_repeated": (),
    "flows/test_adapt.py::test_an_adapter_of_both_sides_gets_an_index_by_one_product": ("shared",),
    "flows/test_adapt.py::test_an_approximate_index_must_find_what_the_adapted_queries_look_for": (),
    "flows/test_adapt.py::test_files_that_are_not_what_was_registered_are_refused": (
        "cut-model_refused-damaged",
        "with_other_weights-model_refused-now makes enc-",
    ),
    "flows/test_api_encoder.py::test_a_killed_job_goes_on_and_pays_only_for_the_rest": ("cache.commit:5",),
    "flows/test_backup.py::test_what_is_restored_answers_as_what_was_backed_up": ("exact",),
    "flows/test_budget.py::test_a_machine_that_slows_down_ends_in_time_all_the_same": ("4-3",),
    "flows/test_budget.py::test_a_search_that_was_killed_keeps_its_trials": (),
    "flows/test_budget.py::test_a_search_within_a_time_shares_it": (),
    "flows/test_budget.py::test_a_seed_that_was_begun_is_ended_whatever_is_left": (),
    "flows/test_budget.py::test_a_time_too_short_is_refused_at_once_with_what_would_do": ("no time",),
    "flows/test_budget.py::test_every_budget_ends_in_time_and_trains": ("12",),
    "flows/test_budget.py::test_killed_for_real_at_every_step_it_can_be_repeated": (),
    "flows/test_budget.py::test_killed_it_goes_on_with_the_same_choice_and_the_time_that_is_left": (),
    "flows/test_budget.py::test_only_the_best_keeps_weights": ("seeds",),
    "flows/test_budget.py::test_seeds_that_were_killed_again_and_again_go_on": (),
    "flows/test_budget.py::test_there_are_fewer_seeds_where_the_time_is_short_and_no_fewer_epochs": ("110-2",),
    "flows/test_composed.py::test_a_process_killed_when_it_kept_words_leaves_them_whole": (),
    "flows/test_composed.py::test_what_filters_boosts_and_reranks_serves_what_was_measured": (
        "base+rerank",
        "hybrid+filter",
    ),
    "flows/test_compress.py::test_a_killed_compression_leaves_all_or_nothing_and_can_be_repeated": (
        "registry.model-arguments0",
    ),
    "flows/test_compress.py::test_shorter_still_and_adapted": (),
    "flows/test_cycle.py::test_killed_at_a_stage_it_makes_the_same_live": ("cycle.stage:7",),
    "flows/test_decoder.py::test_other_poolings_are_trained_and_kept": ("mean",),
    "flows/test_devices.py::test_torchrun_trains_the_model_of_one_process": (),
    "flows/test_devices.py::test_when_the_first_process_dies_the_other_ends_and_one_alone_goes_on": ("train.pass:2",),
    "flows/test_exclusions.py::test_queries_name_what_is_excluded_and_judged_documents_stay": (
        "False-given0",
        "True-x1 x2 nowhere",
    ),
    "flows/test_faults.py::test_a_full_disk_is_told_and_nothing_is_half_done": ("train-", "index-"),
    "flows/test_index.py::test_a_killed_update_leaves_the_old_index_or_the_new_one": (),
    "flows/test_index.py::test_a_release_is_refused_while_recall_is_below_the_floor": (),
    "flows/test_index.py::test_an_index_that_outgrows_its_kind_becomes_the_other": (),
    "flows/test_index.py::test_an_index_without_documents_answers_nothing": ("exact", "lancedb"),
    "flows/test_index.py::test_documents_that_were_removed_since_are_left_out_and_others_take_their_place": (
        "exact",
        "lancedb with a vector index",
    ),
    "flows/test_index.py::test_filters_are_used_once_the_recipe_names_their_fields": ("lancedb with a vector index",),
    "flows/test_index.py::test_only_what_changed_is_read_and_encoded": ("exact", "lancedb with a vector index"),
    "flows/test_kill.py::test_killed_at_a_step": (
        "import.commit-add",
        "remove.commit-remove",
        "cache.commit-train",
        "index.manifest-index",
        "registry.pointer-promote",
    ),
    "flows/test_kill.py::test_killed_at_any_time": (),
    "flows/test_learning_curve.py::test_the_same_again_gives_the_same_curve": (),
    "flows/test_main_job.py::test_another_seed_makes_another_model": (),
    "flows/test_main_job.py::test_evaluate_agrees_with_what_search_returns": ("4",),
    "flows/test_merge.py::test_killed_at_a_step_it_can_be_repeated": ("merge.registered",),
    "flows/test_mining.py::test_a_run_of_several_rounds_cut_short_everywhere_ends_the_same": (),
    "flows/test_mining.py::test_what_learns_from_scores_of_pairs_mines_nothing_and_needs_no_linear_map": (
        "cosine-False",
    ),
    "flows/test_query_side.py::test_killed_at_a_step_it_makes_the_same_model": ("train.model",),
    "flows/test_ready.py::test_a_sheet_is_written_filled_in_and_read_back_and_live_is_measured": ("csv",),
    "flows/test_real_model.py::test_training_brings_the_real_model_nearer_and_can_be_undone": (),
    "flows/test_relabel.py::test_losses_that_distil_learn_from_the_teacher_from_the_first_pass_on": ("kl",),
    "flows/test_resume.py::test_a_run_that_cannot_be_read_is_dropped": (),
    "flows/test_resume.py::test_killed_again_and_again_it_ends_the_same": (),
    "flows/test_resume.py::test_what_is_damaged_is_made_again": ("mined",),
    "flows/test_rotating.py::test_as_it_is_where_documents_keep_their_vectors": (),
    "flows/test_rotating.py::test_cut_short_it_ends_the_same": (),
    "flows/test_sources.py::test_a_training_that_was_cut_short_ends_the_same_whatever_the_order": (),
    "flows/test_stateful.py::test_whatever_was_acknowledged_is_there_and_search_is_exact": ("exact",),
    "flows/test_tasks.py::test_killed_after_the_look_it_is_counted_and_the_command_can_be_repeated": (),
    "flows/test_tasks.py::test_systems_are_compared_on_the_same_items": ("clustering",),
    "flows/test_train_by_clicks.py::test_the_recipe_says_the_same": (),
    "flows/test_train_reranker.py::test_a_damaged_result_is_made_again": (),
    "flows/test_train_reranker.py::test_a_disk_that_is_full_in_the_end_costs_no_training": (),
    "flows/test_train_reranker.py::test_killed_at_every_step_again_and_again_it_ends_the_same": (),
    "flows/test_train_reranker.py::test_without_room_or_permission_it_says_so_and_nothing_is_half_done": (),
    "flows/test_types.py::test_filters_compare_what_values_are": ("exact-csv", "lancedb-parquet"),
    "flows/test_warm_start.py::test_cut_short_it_ends_the_same": (),
    "hostile/test_hostile.py::test_the_files_and_their_manifest_can_be_written_for_others": (),
    "hostile/test_hostile.py::test_what_is_huge_takes_little_memory": ("corpus-bomb-zeros.jsonl.gz",),
    "learn/test_distributed.py::test_the_model_is_that_of_one_process": ("cached", "lora"),
    "measure/test_prediction_powered.py::"
    "test_the_interval_of_ndcg_covers_the_truth_and_is_as_narrow_as_the_model_is_good": ("0.95-0.75",),
    "web/test_label.py::test_no_page_of_labelling_has_a_fault_of_accessibility": (),
    "learn/test_fit_reranker.py::test_cut_after_each_checkpoint_it_ends_as_the_whole_one": ("dev",),
    "learn/test_fit_reranker.py::test_precision_is_that_of_training_in_a_step_and_the_searchs_outside": (
        "bfloat16-high",
    ),
    "learn/test_lower_layers.py::test_a_pass_over_a_decoder_is_the_same_whether_activations_are_kept_or_not": (
        "qwen3-left",
    ),
    "learn/test_resume.py::test_a_checkpoint_half_written_does_not_count": ("save_file",),
    "learn/test_resume.py::test_a_pass_cut_short_again_and_again_ends_as_the_whole_one": (),
    "learn/test_resume.py::test_a_pass_whose_checkpoints_are_all_damaged_begins_anew_and_ends_the_same": (),
    "online/test_analysis.py::test_without_an_effect_intervals_cover_zero_as_often_as_they_say": (),
    "online/test_off_policy.py::test_all_three_find_the_value_of_another_order": ("order1",),
    "retrieval/test_kill.py::test_an_update": (
        "exact-manifest",
        "lancedb-manifest",
        "pgvector-table",
        "pgvector-manifest",
    ),
    "retrieval/test_kill.py::test_a_build_beside_an_index_of_either_kind": (
        "exact-lancedb-manifest",
        "pgvector-pgvector-table",
    ),
    "signals/test_click_models.py::test_swaps_of_neighbours_are_harvested": ("0",),
    "signals/test_click_models.py::test_two_rankers_and_em_find_the_propensities": ("0",),
    "store/test_formats.py::test_memory_does_not_grow_with_the_file": ("jsonl",),
    "web/test_dashboard.py::test_jobs_are_started_from_the_page": (),
    "web/test_dashboard.py::test_no_page_has_a_fault_of_accessibility": ("390-dark",),
    "web/test_openapi.py::test_every_answer_is_one_that_the_document_tells": ("coverage",),
    "web/test_search.py::test_it_ranks_as_the_command_does": ("release-base", "release-hybrid", "lexical-bm25"),
    "web/test_shadow.py::test_over_http_it_is_a_job_and_the_gate_is_told": (),
    "web/test_swap.py::test_moves_under_eight_clients": ("10",),
}
"""Test functions by file, and the ids of the cases that ``make test`` keeps of each."""


def mark_exhaustive(items: list[pytest.Item]) -> None:
    """Mark the cases that ``make test`` leaves out."""
    for item in items:
        name, _, case = item.nodeid.partition("[")
        kept = EXHAUSTIVE.get(name.removeprefix("tests/"))
        if kept is not None and case.removesuffix("]") not in kept:
            item.add_marker(pytest.mark.exhaustive)
