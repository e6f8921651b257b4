import json
from pathlib import Path

from run_folders import epoch_record, write_run

from cobrarec.report import sections
from cobrarec.report.run_files import RunFiles, read_run

EMPTY = RunFiles(
    name="run", metrics=None, audit=None, health_card=None, bucket_sizes=[], epochs=[], examples=[], config=None, manifest=None, missing=()
)


def test_a_run_without_anything_has_no_sections() -> None:
    parts = (
        sections.headline,
        sections.results,
        sections.audit,
        sections.health_card,
        sections.training,
        sections.examples,
        sections.configuration,
    )
    assert [part(EMPTY) for part in parts] == [""] * 7


def test_the_headline_is_the_test_where_it_was_read_else_the_validation(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run"))
    assert "Recall@10, test" in sections.headline(run)
    assert run.metrics is not None
    without = RunFiles(**{**vars(run), "metrics": {**run.metrics, "test": None}})
    assert "Recall@10, validation" in sections.headline(without)


def test_the_best_value_of_a_row_is_marked(tmp_path: Path) -> None:
    html = sections.results(read_run(write_run(tmp_path / "run")))
    assert '<td class="num best" style="--share:1.000"><data value="0.0998123">' in html
    assert '<td class="num" style="--share:0.822"><data value="0.082055">' in html


def test_a_metric_that_a_baseline_lacks_is_a_dash(tmp_path: Path) -> None:
    html = sections.results(read_run(write_run(tmp_path / "run")))
    assert (
        '<th scope="row">ID recall@10</th><td class="num" style="--share:1.000"><data value="0.61">0.6100</data></td><td class="num">–</td>'
        in html
    )


def test_collapse_is_said_aloud(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run"))
    assert "do not tell the items apart" not in sections.health_card(run)
    collapsed = RunFiles(**{**vars(run), "health_card": {**(run.health_card or {}), "collapse_reasons": ["level 0 uses 3 of 128 codes"]}})
    assert "do not tell the items apart.</strong><ul><li>level 0 uses 3 of 128 codes" in sections.health_card(collapsed)


def test_the_best_epoch_is_marked_and_the_earlier_one_wins_a_tie() -> None:
    run = RunFiles(**{**vars(EMPTY), "epochs": [epoch_record(1, 0.1), epoch_record(2, 0.3), epoch_record(3, 0.3)]})
    assert "best NDCG@10: epoch 2" in sections.training(run)


def test_epochs_without_validation_still_have_loss_curves() -> None:
    record = epoch_record(1, 0.1) | {"valid": None}
    html = sections.training(RunFiles(**{**vars(EMPTY), "epochs": [record, record | {"epoch": 2}]}))
    assert "Training losses" in html
    assert "Validation metrics" not in html


def test_figures_per_level_stand_in_a_table(tmp_path: Path) -> None:
    html = sections.health_card(read_run(write_run(tmp_path / "run")))
    assert "<dt>Items with an ID to themselves</dt>" in html
    assert '<td class="num"><data value="31">31</data></td><td class="num"><data value="28.25">28.25</data></td>' in html


def test_a_train_only_run_says_where_its_examples_come_from(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run"))
    assert "Users of the validation set" in sections.examples(run)
    without = [example | {"target": None} for example in run.examples]
    assert "Users of the training set" in sections.examples(RunFiles(**{**vars(run), "examples": without}))


def test_shares_are_shown_in_percent(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run"))
    assert '<data value="0.25">25 %</data>' in sections.health_card(run)
    assert '<data value="0.0022">0.2 %</data>' in sections.audit(run)


def test_the_configuration_is_folded_and_whole(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run"))
    html = sections.configuration(run)
    assert "<details><summary>Resolved configuration</summary>" in html
    assert "Chosen on validation, where the settings left it open: num_epochs 5, direct_weight 0.75." in html
    assert json.dumps("ab" * 32).strip('"') in html
    assert '<data value="12345">12,345</data>' in html


def test_the_training_is_summed_up_in_words() -> None:
    epochs = [epoch_record(1, 0.1), epoch_record(2, 0.2), epoch_record(3, 0.3)]
    assert "3 epochs, 4,002 interactions per second (median), 3 min 6 s." in sections.training(
        RunFiles(**{**vars(EMPTY), "epochs": epochs})
    )


def test_the_headline_is_the_model_of_the_run_beside_the_others(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run"))
    counts = RunFiles(**{**vars(run), "model": "counts"})
    assert '<data value="0.082055">' in sections.headline(counts).split("COBRA")[0]
    assert "COBRA" in sections.headline(counts)
    assert "Transition counts" in sections.facts_line(counts)
    assert "COBRA" not in sections.facts_line(run)
