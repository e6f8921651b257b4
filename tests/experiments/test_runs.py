import json
import threading

import pytest

from cobrarec import pipeline, run_steps
from cobrarec.artifact_manifest import file_hash
from cobrarec.errors import DataError, Interrupted, RunError
from cobrarec.experiments import runs as runs_module
from cobrarec.experiments.datasets import Tables
from cobrarec.experiments.definition import load_definition
from cobrarec.experiments.locks import locked
from cobrarec.experiments.plan import RunName, Selection
from cobrarec.experiments.protocols import with_shuffled_ties
from cobrarec.experiments.runs import Runs, noted
from cobrarec.progress import Silent
from cobrarec.retrieval.list_engine import FusionWeights
from cobrarec.retrieval.recommender import Recommender
from cobrarec.run_folder import RunFolder, table_hash
from cobrarec.run_results import MEMORY_WEIGHTS
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
    assert first.made == json.loads((folder / "made.json").read_text())
    assert first.made["seconds"] > 0
    assert first.made["cores"] == 1
    assert first.network == file_hash(folder / "artifact/model.safetensors")[:12]
    assert first.prepared.config == runs.definition.config_of("whole")
    assert list((runs.out / "embeddings").iterdir())
    monkeypatch.setattr(pipeline, "train", None)
    later = Runs(runs.definition, runs.tables, runs.out, Selection(num_threads=2), Silent())
    assert later.trained(NAME).made == first.made
    (folder / "made.json").unlink()
    assert later.trained(NAME).made == {"seconds": None, "cores": None, "commit": None, "date": None}


def test_a_run_that_another_process_is_making_is_waited_for(runs):
    folder, trained = NAME.folder(runs.out), []
    waiting = threading.Thread(target=lambda: trained.append(runs.trained(NAME)))
    with locked(folder.with_suffix(".lock")):
        waiting.start()
        waiting.join(1)
        assert waiting.is_alive()
        assert not folder.exists()
    waiting.join()
    assert trained[0].best_epoch == 1


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
    before = json.loads((NAME.folder(runs.out) / "made.json").read_text())["seconds"]
    monkeypatch.setattr(pipeline, "train_step", real)
    assert runs.trained(NAME).made["seconds"] >= before


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


def test_a_variant_can_choose_a_memory_that_its_run_was_better_without(runs, monkeypatch):
    monkeypatch.setattr(run_steps, "choose_weights", lambda *given: FusionWeights(0.5, 0.0))
    run, tried = runs.trained(NAME), []
    assert run.recommender.weights.memory == 0.0
    rank = run.recommender.rank_with_weights
    monkeypatch.setattr(Recommender, "rank_with_weights", lambda self, *given: tried.extend(given[2]) or rank(*given))
    runs.serving("sharp", run, "masked")
    assert {weights.memory for weights in tried} == set(MEMORY_WEIGHTS)


def test_a_row_of_its_own_keeps_the_weight_that_was_chosen_in_its_fit(runs):
    run = runs.trained(NAME)
    own = runs.serving("whole", run, "masked")
    assert own.config.model_dump() == {**run.recommender.config.model_dump(), "fill": False, "include_history": False}


def test_time_is_added_also_where_a_block_fails_but_no_folder_is_made_for_it(tmp_path):
    (tmp_path / "made.json").write_text('{"seconds": 5.0}')
    with pytest.raises(DataError), noted(tmp_path / "made.json", {"cores": 2}):
        raise DataError("no")
    assert json.loads((tmp_path / "made.json").read_text())["seconds"] >= 5.0
    with pytest.raises(DataError), noted(tmp_path / "nowhere/made.json", {}):
        raise DataError("no")
    assert not (tmp_path / "nowhere").exists()
