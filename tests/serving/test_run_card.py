import shutil

from small_page import words_of
from small_server import fitted_run, in_process

from cobrarec.serving.page.run_card import info_card, run_card


def test_the_run_beside_the_artifact_is_shown_with_its_curves_and_its_health_card():
    card = run_card(fitted_run() / "artifact")
    for told in ("Training losses", "Validation metrics", "Semantic IDs", "IDs by bucket size", "NDCG@10"):
        assert told in card
    assert "<svg" in card


def test_without_a_run_the_absence_is_told_plainly(tmp_path):
    shutil.copytree(fitted_run() / "artifact", tmp_path / "served")
    assert words_of(run_card(tmp_path / "served")).startswith("There is no run beside this artifact")


def test_what_a_run_lacks_is_named_and_a_broken_file_is_no_fault_of_the_page(tmp_path):
    shutil.copytree(fitted_run() / "artifact", tmp_path / "run/artifact")
    assert "holds no results and no training curves and no health card" in words_of(run_card(tmp_path / "run/artifact"))
    (tmp_path / "run/metrics.json").write_text("{")
    told = words_of(run_card(tmp_path / "run/artifact"))
    assert told.startswith("The run beside this artifact cannot be read")
    assert str(tmp_path) not in told


def test_the_card_says_what_is_served_and_whether_it_can_be_changed(tmp_path):
    shutil.copytree(fitted_run() / "artifact", tmp_path / "artifact")
    with in_process(tmp_path / "artifact") as (_, service):
        told = words_of(info_card(service.card()))
        assert "Items that lists may hold 48" in told
        assert "Items can be added and removed" in told
        assert "num_beams 5" in told
    with in_process(tmp_path / "artifact", read_only=True) as (_, service):
        assert "Items cannot be changed here: this server only reads" in words_of(info_card(service.card()))
