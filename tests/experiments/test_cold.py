import dataclasses
import hashlib

import numpy as np
import pytest

from cobrarec.errors import ConfigError, DataError
from cobrarec.experiments import cold as module
from cobrarec.experiments.cold import cold_jobs, run_cold
from cobrarec.experiments.plan import Selection
from cobrarec.run_folder import RunFolder, read_json
from small_experiment import write_data
from small_run import Told, small_config


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The experiment on a small world: its selection and results."""
    folder = tmp_path_factory.mktemp("cold")
    places = {"data": write_data(folder / "data"), "out": folder / "out", "results": folder / "results"}
    selection = Selection(**places, datasets=("ring",), num_threads=1, device="cpu")
    return selection, run_cold(selection, config=small_config())


def by_name(results, model, protocol="added"):
    return next(one for one in results.records() if (one["model"], one["protocol"]) == (model, protocol))


def test_every_ranker_is_recorded_before_and_after(done):
    _, results = done
    found = {(one["model"], one["protocol"]) for one in results.records()}
    both = {(model, protocol) for model in ("cobra", "counts", "content", "popularity") for protocol in ("added", "not-added")}
    parts = {(part, "added") for part in ("no-memory", "direct", "cascade", "no-stand-ins")}
    assert found == both | parts | {(name, "pretended") for name in ("cobra", "no-stand-ins")}
    levels = [one["config"]["retrieval"].get("new_item_level", 0) for one in results.records() if one["model"] == "cobra"]
    assert sorted(levels) == [-1, -1, 0, 0, 0, 0.5, 0.5, 1, 1, 1.5, 1.5, 2, 2, 3, 3]
    for record in results.records():
        assert list(record["metrics"]) == (["known"] if record["protocol"] == "not-added" else ["new", "known", "all"])
        assert {"seconds", "cores", "commit", "date", "measured", "data", "put_seconds"} <= set(record)
        assert record["new_items"] == 5
        assert hashlib.sha256(results.settings_path(record).read_bytes()).hexdigest()[:16] == record["config_hash"]


def test_the_means_are_those_of_the_ranks_and_the_groups_make_up_all(done):
    _, results = done
    for record in results.records():
        ranks, metrics, users = results.ranks(record).ranks, record["metrics"], record["users"]
        whole = metrics.get("all", metrics["known"])
        assert whole["recall@10"] == pytest.approx(np.mean(ranks > 0), abs=1e-6)
        if "all" in metrics:
            parts = sum(metrics[group]["ndcg@10"] * users[group] for group in ("new", "known"))
            assert whole["ndcg@10"] == pytest.approx(parts / users["all"], abs=1e-5)


def test_before_the_adding_no_list_holds_a_new_item_and_counts_never_do(done):
    _, results = done
    for record in results.records():
        if record["protocol"] == "not-added" or record["model"] in ("counts", "popularity"):
            assert record["places_of_new"] == 0
    assert by_name(results, "content")["places_of_new"] > 0
    assert by_name(results, "popularity")["metrics"]["new"] == {"recall@10": 0, "ndcg@10": 0}


@pytest.mark.parametrize("protocol", ["added", "pretended"])
def test_a_higher_level_gives_new_items_more_places(done, protocol):
    _, results = done
    network = [one for one in results.records() if (one["model"], one["protocol"]) == ("cobra", protocol)]
    of = {one["config"]["retrieval"].get("new_item_level", 0): one["places_of_new"] for one in network}
    places = [of[level] for level in sorted(of)]
    assert places == sorted(places)
    assert places[0] < places[-1]


def test_the_artifact_of_the_run_stays_without_the_new_items(done):
    selection, _ = done
    (path,) = (path for path in selection.out.glob("ring/cold-*/seed-0") if path.is_dir())
    assert not (path / "artifact/changes").exists()
    assert (path / "grown/changes").exists()
    assert read_json(RunFolder(path).path / "made.json")["cores"] == 1


def test_what_is_recorded_is_not_done_again(done, monkeypatch):
    selection, results = done
    before = results.path.read_bytes()
    monkeypatch.setattr(module, "cold_world", None)
    run_cold(selection, config=small_config())
    assert results.path.read_bytes() == before


def test_a_missing_record_alone_is_made_again_from_the_same_run(done):
    selection, results = done
    record = by_name(results, "cobra")
    results.ranks_path(record).unlink()
    told = Told()
    run_cold(selection, told, config=small_config())
    assert [line for line in told.lines if line.startswith("Measuring")] == ["Measuring cobra, level 0, added"]
    assert not [line for line in told.lines if line.startswith("Epoch")]
    assert by_name(results, "cobra")["metrics"] == record["metrics"]


def test_an_estimate_says_what_would_run_and_does_nothing(done, tmp_path):
    selection, told = dataclasses.replace(done[0], out=tmp_path / "out", results=tmp_path / "results"), Told()
    assert run_cold(selection, told, estimate_only=True, config=small_config()).records() == []
    assert "26 records to make" in told.lines[-1]
    assert list(tmp_path.iterdir()) == []


def test_records_of_other_tables_of_the_same_name_are_refused(done, tmp_path):
    other = dataclasses.replace(done[0], data=write_data(tmp_path, "other", "ring"))
    with pytest.raises(DataError, match="records of another ring"):
        run_cold(other, config=small_config())


@pytest.mark.parametrize(("given", "told"), [({"models": ("tiger",)}, "tiger"), ({"protocols": ("masked",)}, "masked")])
def test_what_the_experiment_does_not_have_is_refused(given, told):
    with pytest.raises(ConfigError, match=told):
        cold_jobs(Selection(**given), small_config())


def test_data_sets_rankers_and_seeds_can_be_picked():
    jobs = cold_jobs(Selection(datasets=("toys",), models=("cobra",), seeds=(0, 3)), small_config())
    assert {(job.dataset, job.model, job.seed) for job in jobs} == {("toys", "cobra", 0), ("toys", "cobra", 3)}
    assert {job.dataset for job in cold_jobs(Selection(), small_config())} == {"beauty", "toys"}
