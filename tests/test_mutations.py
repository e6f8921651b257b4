"""The tests guard what they say: for each property a fault of one line in a copy of the source, and the test that it turns red."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
RED = ("assert", "AssertionError")
"""How pytest begins the reason of a test that judged, in contrast to one that broke down."""

pytestmark = pytest.mark.slow


class Mutation(NamedTuple):
    file: str
    before: str
    after: str
    test: str
    """Node id below `tests/`."""


MUTATIONS = {
    # ---- the same result alone, in any batch, with and without a cache
    "beams attend to padding": Mutation(
        "model/decoder.py",
        ".masked_fill(~cache.mask, -torch.inf)",
        "",
        "retrieval/test_recommender.py::test_a_user_gets_the_same_list_alone_and_in_any_batch[2 levels]",
    ),
    "the cache counts padding as history": Mutation(
        "model/decoder.py",
        "position = cache.mask.sum(1)",
        "position = cache.mask.sum(1) * 0 + cache.mask.shape[1]",
        "model/test_decoder.py::test_prefill_and_extend_equal_one_forward_pass[settings0-3]",
    ),
    "a token sees the one after it": Mutation(
        "model/decoder.py",
        "place[:, None] < place,",
        "place[:, None] < place - 1,",
        "model/test_decoder.py::test_no_token_sees_a_later_one",
    ),
    # ---- times and memory
    "the memory is chosen but not added": Mutation(
        "retrieval/list_search.py",
        "log_scores = log_scores + weights.memory * found.log_memory",
        "log_scores = log_scores + 0 * found.log_memory",
        "retrieval/test_list_search.py::test_a_memory_adds_the_log_of_its_counts_to_the_items_of_the_beams[0.3]",
    ),
    "the memory reads other users' counts": Mutation(
        "retrieval/transition_memory.py",
        "wanted = users * self.num_items + rows",
        "wanted = users * 0 + rows",
        "retrieval/test_transition_memory.py::test_a_log_score_gains_the_log_of_ten_times_the_count_and_nothing_where_none_was_counted",
    ),
    "later months are taken for what training never saw": Mutation(
        "model/cobra.py",
        "batch.month.minimum(last_month)",
        "batch.month",
        "model/test_cobra.py::test_months_after_training_are_read_as_the_last_month_of_training",
    ),
    # ---- order
    "scores are hardly rounded before they are ordered": Mutation(
        "retrieval/ordering.py",
        "LOG_SCORE_STEP = 1e-5",
        "LOG_SCORE_STEP = 1e-7",
        "retrieval/test_ordering.py::test_scores_closer_than_a_step_are_ties_and_go_by_their_rank",
    ),
    "ties go by row": Mutation(
        "retrieval/ordering.py",
        "tie_ranks[things])",
        "things)",
        "retrieval/test_list_search.py::test_without_dense_vectors_the_items_of_an_id_share_its_score_and_go_by_hash",
    ),
    # ---- losses
    "the sparse loss asks every level for the first code": Mutation(
        "model/losses.py",
        "F.cross_entropy(logits, codes[:, level])",
        "F.cross_entropy(logits, codes[:, 0])",
        "model/test_losses.py::test_every_loss_equals_its_slow_version[bucket-auto-2]",
    ),
    "the dense loss forgets its temperature": Mutation(
        "model/losses.py",
        "query = output.dense_query * output.dense_scale",
        "query = output.dense_query",
        "model/test_losses.py::test_every_loss_equals_its_slow_version[bucket-auto-1]",
    ),
    "the direct loss forgets its temperature": Mutation(
        "model/losses.py",
        "query = output.direct_query * output.direct_scale",
        "query = output.direct_query",
        "model/test_losses.py::test_every_loss_equals_its_slow_version[bucket-auto-1]",
    ),
    "a target is its own negative": Mutation(
        "model/losses.py",
        "hidden = places == output.target_index[:, None]",
        "hidden = (places == output.target_index[:, None]) & False",
        "model/test_losses.py::test_every_loss_equals_its_slow_version[batch-batch-1]",
    ),
    "an item counts as a negative as often as the batch holds it": Mutation(
        "model/losses.py",
        "places = torch.unique(torch.cat([real, batch.drawn]) if with_drawn else real)",
        "places = torch.cat([real, batch.drawn]) if with_drawn else real",
        "model/test_losses.py::test_copies_of_the_target_are_never_its_negatives",
    ),
    "padding is a negative": Mutation(
        "model/losses.py",
        "real = batch.index[batch.mask]",
        "real = batch.index.flatten()",
        "model/test_losses.py::test_padding_never_counts[batch]",
    ),
    "the logQ correction is added": Mutation(
        "model/losses.py",
        "logits = logits - correction",
        "logits = logits + correction",
        "model/test_losses.py::test_logq_takes_off_how_often_a_batch_holds_each_negative[batch]",
    ),
    # ---- the text encoder learns by every way
    "no gradient comes back through the inputs": Mutation(
        "model/cobra.py",
        "_take(inputs, batch.index) if",
        "_take(inputs, batch.index).detach() if",
        "model/test_gradient_norms.py::test_the_gradient_reaches_the_text_encoder_by_each_way[loss0-settings0]",
    ),
    "no gradient comes back through the targets": Mutation(
        "model/cobra.py",
        "unit_vectors(_take(targets, index))",
        "unit_vectors(_take(targets, index)).detach()",
        "model/test_gradient_norms.py::test_the_gradient_reaches_the_text_encoder_by_each_way[loss0-settings0]",
    ),
    "no gradient comes back through the negatives": Mutation(
        "model/cobra.py",
        "unit_vectors(negatives)",
        "unit_vectors(negatives).detach()",
        "model/test_gradient_norms.py::test_the_gradient_reaches_the_text_encoder_by_each_way[loss0-settings0]",
    ),
    # ---- beams, buckets, fusion
    "beams go on with another beam's cache": Mutation(
        "retrieval/beam_search.py",
        "cache.select(beam)",
        "cache.select(beam.flip(1))",
        "retrieval/test_beam_search.py::test_with_as_many_beams_as_ids_it_is_enumeration[default-3-4]",
    ),
    "prefixes without items are entered": Mutation(
        "retrieval/beam_search.py",
        "totals = totals.masked_fill(children < 0, -torch.inf)",
        "totals = totals.masked_fill(children < -1, -torch.inf)",
        "retrieval/test_beam_search.py::test_with_as_many_beams_as_ids_it_is_enumeration[paper-3-4]",
    ),
    "a bucket is looked up in another order than that of its vectors": Mutation(
        "retrieval/item_index.py",
        "self.vectors = vectors.detach()[self.rows].contiguous()",
        "self.vectors = vectors.detach().contiguous()",
        "retrieval/test_item_index.py::test_in_bucket_search_is_an_argsort_of_the_bucket[2-60-3]",
    ),
    "the bucket reading normalizes over the nearest": Mutation(
        "retrieval/beam_fusion.py",
        'logits if settings.similarity_softmax == "bucket" else nearest',
        "nearest",
        "retrieval/test_beam_fusion.py::test_the_bucket_reading_does_not_depend_on_n",
    ),
    "the candidates reading normalizes over the bucket": Mutation(
        "retrieval/beam_fusion.py",
        'logits if settings.similarity_softmax == "bucket" else nearest',
        "logits",
        "retrieval/test_beam_fusion.py::test_the_candidates_reading_by_hand",
    ),
    "the all reading normalizes over one beam": Mutation(
        "retrieval/beam_fusion.py",
        'if settings.similarity_softmax == "all":\n',
        'if settings.similarity_softmax == "none":\n',
        "retrieval/test_beam_fusion.py::test_the_all_reading_by_hand",
    ),
    "filled items do not lie below those of the beams": Mutation(
        "retrieval/list_search.py",
        "torch.where(lengths[:, None] > 0, lowest, 0.0) + log_probs",
        "torch.where(lengths[:, None] > 0, 0.0, 0.0) + log_probs",
        "retrieval/test_list_search.py::test_too_few_candidates_are_filled_with_nearest_items_ranked_below[2 levels]",
    ),
    # ---- history and filters
    "the direct query's normalizer counts the history": Mutation(
        "retrieval/encoded_histories.py",
        "    logits[removed.users, removed.rows] = -torch.inf\n    total = torch.logsumexp(logits, 1, keepdim=True)\n",
        "    total = torch.logsumexp(logits, 1, keepdim=True)\n    logits[removed.users, removed.rows] = -torch.inf\n",
        "retrieval/test_encoded_histories.py::test_log_softmax_leaves_out_what_is_removed",
    ),
    "the history's items are candidates": Mutation(
        "retrieval/list_search.py",
        "places = removed.pairs(beams.ids, self.tables)",
        "places = RemovedItems.none(self.device).pairs(beams.ids, self.tables)",
        "retrieval/test_recommender.py::test_the_history_is_never_listed_unless_asked_for[paper]",
    ),
    "filters enter the similarities' normalizer": Mutation(
        "retrieval/beam_fusion.py",
        "finite = torch.isfinite(candidates.similarities)",
        "finite = torch.isfinite(candidates.similarities) & (True if allowed is None else allowed)",
        "retrieval/test_beam_fusion.py::test_filters_strike_out_and_move_no_other_score[bucket]",
    ),
    "filters enter the beams' normalizer": Mutation(
        "retrieval/list_search.py",
        "normalizers = self._unfiltered_normalizers(encoded, num_beams)",
        "normalizers = self._find(encoded, num_beams, request.allowed, None)[1]",
        "retrieval/test_recommender.py::test_filters_with_few_beams_give_the_list_of_the_slow_version[bucket-3 levels]",
    ),
    # ---- items that change
    "removed items stay in the softmax of the direct query": Mutation(
        "model/item_vectors.py",
        "masked = (bias.masked_fill(~is_listed, -torch.inf) for bias in (self.dense_bias, self.direct_bias))",
        "masked = (bias.masked_fill(~is_listed, 0.0) for bias in (self.dense_bias, self.direct_bias))",
        "retrieval/test_live_catalog.py::test_removed_items_leave_the_lists_of_a_catalog_that_never_had_them[filters0-no ID]",
    ),
    "removed items stay in their buckets": Mutation(
        "retrieval/live_catalog.py",
        "SemanticIds.from_codes(codes, recommender.semantic_ids.codebook_size, catalog.is_listed)",
        "SemanticIds.from_codes(codes, recommender.semantic_ids.codebook_size)",
        "retrieval/test_live_catalog.py::test_removed_items_still_count_in_histories_and_are_in_no_list[2 levels]",
    ),
    "a change is shown before it is on disk": Mutation(
        "retrieval/live_catalog.py",
        "        self._log.append(change.to_bytes())\n        self._recommender = changed",
        "        self._recommender = changed\n        self._log.append(change.to_bytes())",
        "retrieval/test_live_catalog.py::test_what_could_not_be_written_was_not_made",
    ),
    "a cut log is read as far as it goes": Mutation(
        "retrieval/change_log.py",
        "    if len(data) < head.num_bytes:",
        "    if False:",
        "retrieval/test_change_log.py::test_a_log_cut_below_what_was_acknowledged_is_refused[0]",
    ),
    "the test is learned when a model goes on": Mutation(
        "pipeline.py",
        "whole = prepared if prepared.split.before_test is None else prepared.refitting()",
        "from dataclasses import replace; whole = replace(prepared, split=replace(prepared.split, train=prepared.histories))",
        "test_continuation.py::test_the_test_interactions_are_not_learned",
    ),
    "requests of several kinds go together": Mutation(
        "serving/batcher.py",
        "if place.asked.key == key and",
        "if",
        "serving/test_batcher.py::test_only_requests_of_one_kind_go_together_and_nobody_is_passed_for_ever",
    ),
    "the token guards nothing": Mutation(
        "serving/gate.py",
        '(self._settings.is_token(given) and kind.lower() == b"bearer")',
        "True",
        "serving/test_app.py::test_the_token_guards_writes_reload_and_metrics_and_nothing_else",
    ),
    # ---- nothing held out is used
    "the validation targets are trained on": Mutation(
        "data/splits.py",
        "histories.ends - 2 * is_held_out",
        "histories.ends - 1 * is_held_out",
        "test_leakage.py::test_replacing_every_validation_item_too_changes_no_weight_code_or_count",
    ),
    "the target is part of the input": Mutation(
        "data/splits.py",
        "HeldOut(_with_ends(histories, places), offsets",
        "HeldOut(_with_ends(histories, places + 1), offsets",
        "data/test_splits.py::test_last_two_holds_out_the_last_two",
    ),
    "the collaborative signal knows what is held out": Mutation(
        "run_steps.py",
        "fit_semantic_ids(embeddings, prepared.split.train,",
        "fit_semantic_ids(embeddings, prepared.histories,",
        "test_leakage.py::test_replacing_every_test_item_changes_nothing_but_the_test_metrics[default]",
    ),
    "popularity counts what is held out": Mutation(
        "run_steps.py",
        "popularity = split.train.item_counts(catalog.num_items)",
        "popularity = prepared.histories.item_counts(catalog.num_items)",
        "test_leakage.py::test_replacing_every_test_item_changes_nothing_but_the_test_metrics[default]",
    ),
    "the baselines count the validation targets": Mutation(
        "run_baselines.py",
        "train, num_items = prepared.split.train,",
        "train, num_items = prepared.split.test.histories,",
        "test_run_baselines.py::test_the_baselines_count_the_training_histories_alone",
    ),
    # ---- training and disk
    "the artifact forgets the chosen weight": Mutation(
        "artifact.py",
        'config.model_copy(update={"retrieval": recommender.config})',
        "config",
        "test_artifact.py::test_what_is_loaded_gives_the_lists_of_what_was_saved[exact]",
    ),
    "the artifact forgets the vectors of cold items": Mutation(
        "artifact.py",
        "_save_tensors(recommender.items.arrays(),",
        "_save_tensors(recommender.model.item_vectors().arrays(),",
        "test_artifact.py::test_what_is_loaded_gives_the_lists_of_what_was_saved[exact]",
    ),
    "a resumed training forgets the averaged weights": Mutation(
        "training/trainer.py",
        'self._average.load_state(_below("average/", tensors))',
        "pass",
        "training/test_resume.py::test_killed_after_a_step_with_a_checkpoint_at_every_step[7]",
    ),
    "a stopped training keeps its last weights": Mutation(
        "training/trainer.py",
        "        self._model.load_state_dict(read_tensors(weights_file))\n",
        "",
        "training/test_trainer.py::test_the_best_epoch_is_kept_and_patience_stops",
    ),
    "NDCG discounts one rank too far": Mutation(
        "evaluation/metrics.py",
        "np.log2(np.arange(2, k + 2))",
        "np.log2(np.arange(3, k + 3))",
        "evaluation/test_metrics.py::test_a_single_target_at_rank_three",
    ),
    "training never refreshes the centroids": Mutation(
        "training/trainer.py",
        "self._model.refresh_evidence()  # nothing to do unless",
        "pass  # nothing to do unless",
        "training/test_trainer.py::test_steps_read_centroids_of_the_present_vectors_and_the_result_bears_its_own",
    ),
    "the centroids do not know the vectors of cold items": Mutation(
        "run_steps.py",
        "    model.refresh_evidence(items)\n",
        "",
        "test_run_steps.py::test_the_centroids_are_those_of_the_vectors_that_are_served",
    ),
    # ---- experiments
    "experiments fill short lists": Mutation(
        "experiments/measures.py",
        "recommender.with_settings(fill=False,",
        "recommender.with_settings(fill=True,",
        "experiments/test_measures.py::test_metrics_are_those_of_the_evaluation_and_short_lists_stay_short",
    ),
    "interactions of other times change places too": Mutation(
        "experiments/protocols.py",
        "(times[1:] == times[:-1]) & (times[1:]",
        "(times[1:]",
        "experiments/test_protocols.py::test_histories_of_the_shuffled_table_differ_in_their_ties_alone[as_it_is]",
    ),
    "what is recorded under other settings counts as done": Mutation(
        "experiments/records.py",
        'KEY = ("dataset", "model", "config_hash", "seed", "protocol")',
        'KEY = ("dataset", "model", "seed", "protocol")',
        "experiments/test_plan.py::test_what_is_recorded_under_the_same_settings_is_not_done_again",
    ),
    # ---- semantic IDs
    "text stands in for the collaborative part of no new item": Mutation(
        "semantic_ids/quantizer_input.py",
        "[unit_rows(self.regression.predict(embeddings)), unit_rows(text)]",
        "[unit_rows(0 * self.regression.predict(embeddings)), unit_rows(text)]",
        "semantic_ids/test_quantizer_input.py::test_the_text_tells_what_is_bought_together",
    ),
    "the card judges text by what the collaborative part knows": Mutation(
        "semantic_ids/quantizer_input.py",
        "text_only[warm, :part] = unit_rows(left_out)",
        "text_only[warm, :part] = collaborative[warm]",
        "semantic_ids/test_quantizer_input.py::test_text_that_tells_nothing_is_not_helped_by_what_the_item_itself_was_bought_with",
    ),
    "nothing goes straight through the quantizer": Mutation(
        "semantic_ids/rqvae.py",
        "latent + (quantized.sum(1) - latent).detach()",
        "quantized.sum(1)",
        "semantic_ids/test_rqvae.py::test_the_gradient_goes_straight_through_to_the_encoder_and_not_into_the_codebooks",
    ),
    "the commitment term moves codewords": Mutation(
        "semantic_ids/rqvae.py",
        "(output.residuals - output.codewords.detach())",
        "(output.residuals - output.codewords)",
        "semantic_ids/test_rqvae.py::test_the_codebook_term_moves_codewords_and_the_commitment_term_the_encoder",
    ),
    "dead codes are never restarted": Mutation(
        "semantic_ids/rqvae.py",
        "if step <= 0.9 * config.num_steps:",
        "if step <= 0:",
        "semantic_ids/test_rqvae.py::test_training_brings_dead_codes_back",
    ),
    "centroids forget how far their items spread": Mutation(
        "model/item_evidence.py",
        "mean_of(apart**2) / 2",
        "mean_of(apart**2) * 0",
        "model/test_item_evidence.py::test_centroids_come_close_to_the_exact_sums_and_closer_the_more_they_are",
    ),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the tests need; they refuse to run against any other package."""
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    package = tmp_path / "src" / "cobrarec" / "__init__.py"
    with (tmp_path / "tests" / "conftest.py").open("a") as file:
        file.write(f"\nimport cobrarec\n\nassert cobrarec.__file__ == {str(package)!r}, cobrarec.__file__\n")
    return tmp_path


def run_tests(project: Path, *tests: str) -> tuple[int, str]:
    """Exit status of pytest and what it printed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = inherited | {
        "PYTHONPATH": str(project / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "1000",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *(f"tests/{test}" for test in tests)]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_named_tests_are_green_without_a_fault(project: Path) -> None:
    status, printed = run_tests(project, *sorted({mutation.test for mutation in MUTATIONS.values()}))
    assert status == 0, printed


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS)
def test_a_fault_turns_its_test_red(project: Path, mutation: Mutation) -> None:
    path = project / "src" / "cobrarec" / mutation.file
    source = path.read_text(encoding="utf-8")
    assert source.count(mutation.before) == 1, f"{mutation.file} holds {mutation.before!r} {source.count(mutation.before)} times, not once"
    path.write_text(source.replace(mutation.before, mutation.after), encoding="utf-8")
    status, printed = run_tests(project, mutation.test)
    failed = re.findall(r"^FAILED tests/(.*?) - (.*)$", printed, re.MULTILINE)
    assert status == 1, printed
    assert [name for name, reason in failed if reason.startswith(RED)] == [mutation.test], printed
