"""Of which parametrized tests ``make test`` keeps only some cases; ``make test-all`` runs all.

``make test`` keeps a case of each mechanism. A test function that repeats for one more place what another proves of one
is marked ``exhaustive`` where it stands; those that take a blink stay, however many there are.
"""

from collections.abc import Mapping

import pytest

KEPT: Mapping[str, tuple[str, ...]] = {
    "training/test_adapt.py::test_files_that_are_not_what_was_registered_are_refused": (
        "cut-model_refused-damaged",
        "with_other_weights-model_refused-now makes enc-",
    ),
    "flows/test_api_encoder.py::test_a_killed_job_goes_on_and_pays_only_for_the_rest": ("cache.commit:5",),
    "flows/test_backup.py::test_what_is_restored_answers_as_what_was_backed_up": ("exact",),
    "flows/test_beside_others.py::test_everything_else_works_at_once": ("evaluate",),
    "training/test_budget.py::test_a_machine_that_slows_down_ends_in_time_all_the_same": ("4-3",),
    "training/test_budget.py::test_a_time_too_short_is_refused_at_once_with_what_would_do": ("no time",),
    "training/test_budget.py::test_every_budget_ends_in_time_and_trains": ("12",),
    "systems/test_composed.py::test_what_filters_boosts_and_reranks_serves_what_was_measured": (
        "base+rerank",
        "hybrid+filter",
    ),
    "flows/test_copy_store.py::test_killed_it_is_there_whole_or_not_at_all": (
        "postgres-copy.compared",
        "folder-copy.kept",
    ),
    "flows/test_cycle.py::test_killed_at_a_stage_it_makes_the_same_live": ("cycle.stage:7",),
    "training/test_devices.py::test_when_the_first_process_dies_the_other_ends_and_one_alone_goes_on": (
        "train.pass:2",
    ),
    "evaluation/test_exclusions.py::test_queries_name_what_is_excluded_and_judged_documents_stay": (
        "False-given0",
        "True-x1 x2 nowhere",
    ),
    "flows/test_export_model.py::test_the_folder_gives_our_vectors_without_us": ("base", "merged", "compressed"),
    "flows/test_faults.py::test_a_full_disk_is_reported_and_nothing_is_half_done": ("index-",),
    "flows/test_index.py::test_an_index_without_documents_answers_nothing": ("lancedb",),
    "flows/test_index.py::test_documents_that_were_removed_since_are_left_out_and_others_take_their_place": (
        "lancedb with a vector index",
    ),
    "flows/test_index.py::test_words_are_searched_whatever_the_index_is": ("lancedb",),
    "flows/test_index.py::test_only_what_changed_is_read_and_encoded": ("lancedb with a vector index",),
    "flows/test_kill.py::test_killed_at_a_step": (
        "import.commit-add",
        "cache.commit-train",
        "registry.pointer-promote",
    ),
    "flows/test_main_job.py::test_evaluate_agrees_with_what_search_returns": ("4",),
    "flows/test_ready.py::test_a_sheet_is_written_filled_in_and_read_back_and_live_is_measured": ("csv",),
    **{
        f"flows/test_shared_events.py::{name}": ("postgres",)
        for name in (
            "test_what_is_being_written_waits_until_it_is_sealed",
            "test_a_folder_that_was_away_forgets_before_it_gives",
            "test_what_is_forgotten_is_not_entered_when_it_is_sealed_later",
            "test_what_is_too_old_goes_from_all",
            "test_another_salt_is_refused_and_nothing_is_mixed",
            "test_a_file_that_was_changed_there_is_refused",
            "test_names_that_are_no_files_of_a_log_are_left_alone",
            "test_a_copy_of_the_store_and_a_backup_have_what_others_sealed",
        )
    },
    "flows/test_stateful.py::test_whatever_was_acknowledged_is_there_and_search_is_exact": ("exact-sqlite",),
    "evaluation/test_suite.py::test_a_case_that_may_fail_is_noted": ("major-won-None",),
    "evaluation/test_suite.py::test_a_case_that_must_not_fail_refuses": ("critical-lost",),
    "evaluation/test_tasks.py::test_systems_are_compared_on_the_same_items": ("clustering",),
    "flows/test_ray.py::test_a_training_mines_on_the_cluster_what_it_would_mine_here": ("no machines",),
    "flows/test_ray.py::test_an_index_is_the_one_that_is_built_here": ("no machines",),
    "evaluation/test_types.py::test_filters_compare_what_values_are": ("lancedb-parquet",),
    "evaluation/test_types.py::test_lists_filter_by_membership": ("exact",),
    "hostile/test_hostile.py::test_what_is_huge_takes_little_memory": ("corpus-bomb-zeros.jsonl.gz",),
    "learn/test_distributed.py::test_gradients_are_those_of_one_process": ("plain", "grades", "kl"),
    "learn/test_distributed.py::test_the_model_is_that_of_one_process": ("cached", "lora"),
    "learn/test_fit_reranker.py::test_precision_is_that_of_training_in_a_step_and_the_searchs_outside": (
        "bfloat16-high",
    ),
    "learn/test_lower_layers.py::test_a_pass_over_a_decoder_is_the_same_whether_activations_are_kept_or_not": (
        "qwen3-left",
    ),
    "learn/test_resume.py::test_a_checkpoint_half_written_does_not_count": ("save_file",),
    "measure/test_prediction_powered.py::"
    "test_the_interval_of_ndcg_covers_the_truth_and_is_as_narrow_as_the_model_is_good": ("0.95-0.75",),
    "online/test_off_policy.py::test_all_three_find_the_value_of_another_order": ("order1",),
    "retrieval/test_kill.py::test_a_build_beside_an_index_of_either_kind": (
        "exact-lancedb-manifest",
        "pgvector-pgvector-table",
    ),
    "retrieval/test_kill.py::test_an_update": (
        "exact-manifest",
        "lancedb-manifest",
        "pgvector-table",
        "pgvector-manifest",
    ),
    "signals/test_click_models.py::test_swaps_of_neighbours_are_harvested": ("0",),
    "signals/test_click_models.py::test_two_rankers_and_em_find_the_propensities": ("0",),
    "store/test_formats.py::test_memory_does_not_grow_with_the_file": ("jsonl",),
    "web/test_dashboard.py::test_no_page_has_a_fault_of_accessibility": ("390-dark",),
    "web/test_openapi.py::test_every_answer_is_one_that_the_document_tells": ("coverage of search and documents",),
    "web/test_search.py::test_it_ranks_as_the_command_does": ("release-hybrid",),
    "web/test_shadow.py::test_the_report_is_that_of_asking_both": ("hybrid",),
    "web/test_swap.py::test_moves_under_eight_clients": ("10",),
    "evaluation/test_exclusions.py::test_an_unjudged_document_with_the_querys_text_is_excluded_whatever_its_title": (
        "-True",
        "Topic three-False",
    ),
    "flows/test_experiment.py::test_a_canary_ends_by_itself_where_it_does_harm": ("harm0-True", "harm2-False"),
    "flows/test_export_model.py::test_a_refused_push_leaves_the_folder_and_says_how_to_go_on": ("fault1",),
    "flows/test_export_model.py::test_push_makes_a_repository_and_uploads_the_whole_folder": ("True",),
    "flows/test_object_storage.py::test_a_killed_upload_is_nothing_or_all_and_is_made_up_for": ("objects.manifest",),
    "flows/test_object_storage.py::test_where_it_is_not_there_nothing_goes_live_and_nothing_is_lost": (
        "credentials",
        "server",
    ),
    "flows/test_startup.py::test_what_is_refused_for_want_of_data_loads_no_model_library": ("corpus+queries",),
    "flows/test_synthesize.py::test_a_single_document_without_an_answer_stops_nothing": ("cut", "stalled"),
    "learn/test_distributed.py::test_a_pass_goes_on_with_another_number_of_processes": ("2",),
    "learn/test_false_negatives.py::test_where_no_wrong_document_outscores_a_positive_it_is_the_share": (
        "margins0-0.5",
        "margins1-2",
    ),
    "learn/test_fit_reranker.py::test_steps": ("20-8-2.0-6", "20-8-0.1-1"),
    "learn/test_lora.py::test_a_pass_that_dies_drops_what_was_learned": ("bert",),
    "learn/test_lora.py::test_only_the_adapters_have_gradients": ("qwen3",),
    "learn/test_lora.py::test_the_scale_and_dropout_are_the_recipes": ("recipe1-4.0",),
    "learn/test_lora.py::test_training_that_hurts_leaves_the_model_bit_for_bit": ("bert",),
    "serving/test_searcher.py::test_a_search_encodes_no_document_and_writes_nothing": ("base+rerank",),
    "store/test_labels.py::test_four_who_rate_at_once_never_exceed_the_cap": ("sqlite-2", "postgres-2"),
    "store/test_objects.py::test_what_is_not_what_was_uploaded_is_refused": ("changed", "manifest", "leads out"),
}
"""Test functions by file, and the ids of the cases that ``make test`` keeps of each."""


def mark_exhaustive(items: list[pytest.Item]) -> None:
    """Mark the cases that ``make test`` leaves out."""
    for item in items:
        name, _, case = item.nodeid.partition("[")
        kept = KEPT.get(name.removeprefix("tests/"))
        if kept is not None and case.removesuffix("]") not in kept:
            item.add_marker(pytest.mark.exhaustive)
