import json

import pytest

from cobrarec import pipeline
from cobrarec.errors import DataError, Interrupted, RunError
from cobrarec.experiments import runs as runs_module
from cobrarec.experiments.datasets import Tables
from cobrarec.experiments.definition import load_definition
from cobrarec.experiments.plan import RunName, Selection
from cobrarec.experiments.protocols import with_shuffled_ties
from cobrarec.experiments.runs import Runs, timed
from cobrarec.progress import Silent
from cobrarec.retrieval.list_engine import FusionWeights
from cobrarec.run_folder import RunFolder, table_hash
from small_experiment import tied_world, write_definition

NAME = RunName("ring", "whole", 0, False, "0123456789abcdef")


@pytest.fixture
def runs(tmp_path):
    definition = load_definition(write_definition(tmp_path / "definition"))[1]
    return Runs(definition, {"ring": Tables(*tied_world())}, tmp_path / "out", Selection(num_threads=1), Silent())


def test_a_run_is_fitted_once_then_loaded_and_its_texts_are_shared(runs, monkeypatch):
    first = runs.trained(NAME)
    folder = NAME.folder(runs.out)
    assert first.best_epoch == 1
    assert first.seconds == json.loads((folder / "seconds.json").read_text())["seconds"] > 0
    assert first.prepared.config == runs.definition.config_of("whole")
    assert list((runs.out / "embeddings").iterdir())
    monkeypatch.setattr(pipeline, "train", None)
    assert runs.trained(NAME).seconds == first.seconds


def test_another_run_in_the_folder_is_refused(runs):
    runs.trained(NAME)
    other = Runs(runs.definition, {"ring": Tables(*tied_world(seed=1))}, runs.out, runs.selection, Silent())
    with pytest.raises(RunError, match="another run"):
        other.trained(NAME)


def test_a_run_that_was_cut_off_goes_on_and_its_time_adds_up(runs, monkeypatch):
    real = pipeline.train_step

    def stopped(*arguments):
        raise Interrupted("stopped")

    monkeypatch.setattr(pipeline, "train_step", stopped)
    with pytest.raises(Interrupted):
        runs.trained(NAME)
    before = json.loads((NAME.folder(runs.out) / "seconds.json").read_text())["seconds"]
    monkeypatch.setattr(pipeline, "train_step", real)
    assert runs.trained(NAME).seconds >= before


def test_shuffled_ties_make_a_run_of_their_own_from_the_shuffled_table(runs):
    name = RunName("ring", "whole", 1, True, "0123456789abcdef")
    run = runs.trained(name)
    shuffled = with_shuffled_ties(tied_world()[1], 1)
    assert RunFolder(name.folder(runs.out)).identity["interactions"] == table_hash(shuffled)
    assert run.prepared.seed == 1


def test_a_variant_changes_retrieval_alone_and_chooses_its_weight_anew(runs, monkeypatch):
    run = runs.trained(NAME)
    asked = []
    monkeypatch.setattr(runs_module, "choose_weights", lambda *given: asked.append(given[:2]) or FusionWeights(0.75, 0.4))
    sharp = runs.serving("sharp", run, "unmasked")
    (prepared, judged) = asked[0]
    assert prepared.config == runs.definition.config_of("sharp")
    assert (judged.config.tau, judged.config.fill, judged.config.include_history) == (0.5, False, False)
    settings = sharp.config.model_dump()
    assert (settings["tau"], settings["direct_weight"], settings["fill"], settings["include_history"]) == (0.5, 0.75, False, True)
    assert settings["memory_weight"] == 0.4
    assert sharp.model is run.recommender.model


def test_a_row_of_its_own_keeps_the_weight_that_was_chosen_in_its_fit(runs):
    run = runs.trained(NAME)
    own = runs.serving("whole", run, "masked")
    assert own.config.model_dump() == {**run.recommender.config.model_dump(), "fill": False, "include_history": False}


def test_time_is_added_also_where_a_block_fails_but_no_folder_is_made_for_it(tmp_path):
    (tmp_path / "seconds.json").write_text('{"seconds": 5.0}')
    with pytest.raises(DataError), timed(tmp_path / "seconds.json"):
        raise DataError("no")
    assert json.loads((tmp_path / "seconds.json").read_text())["seconds"] >= 5.0
    with pytest.raises(DataError), timed(tmp_path / "nowhere/seconds.json"):
        raise DataError("no")
    assert not (tmp_path / "nowhere").exists()
