import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from cobrarec import pipeline
from cobrarec.artifact import load_artifact
from cobrarec.errors import ConfigError, DataError
from cobrarec.evaluation.evaluate import evaluate
from cobrarec.experiments import run_experiment as module
from cobrarec.experiments.definition import load_definition
from cobrarec.experiments.plan import Selection
from cobrarec.experiments.records import Results
from cobrarec.experiments.result_tables import render_tables
from cobrarec.experiments.run_experiment import places, run_experiment
from cobrarec.prepared import load_prepared
from cobrarec.run_folder import RunFolder
from small_experiment import write_data, write_definition
from small_run import ThreadsSeen, Told

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A small experiment that was run: its selection, definition and results."""
    folder = tmp_path_factory.mktemp("experiment")
    source = write_definition(folder)
    selection = Selection(data=write_data(folder / "data"), out=folder / "out", results=folder / "results", num_threads=1, device="cpu")
    return selection, source, run_experiment(source, selection)


def by_name(results, model, protocol="masked", seed=0):
    (found,) = [one for one in results.records() if (one["model"], one["protocol"], one["seed"]) == (model, protocol, seed)]
    return found


def test_every_row_seed_and_protocol_is_recorded_with_all_that_belongs_to_it(done):
    _, _, results = done
    assert len(results.records()) == 9
    fields = {
        "data",
        "networks",
        "dataset",
        "model",
        "config",
        "config_hash",
        "seed",
        "protocol",
        "metrics",
        "valid",
        "mean_list_length",
        "users",
        "epochs",
    }
    for record in results.records():
        assert fields | {"seconds", "cores", "commit", "date"} <= set(record)
        assert list(record["metrics"]) == list(record["valid"]) == ["recall@5", "ndcg@5", "recall@10", "ndcg@10", "coverage@10"]
        assert record["cores"] == 1
        assert ("direct_share" in record) == (record["model"] in ("whole", "sharp"))
        assert results.ranks(record).ranks.shape == (record["users"],)
        settings = results.settings_path(record).read_bytes()
        assert hashlib.sha256(settings).hexdigest()[:16] == record["config_hash"]
    assert by_name(results, "cascade")["config"]["model"]["direct_query"] is False


def test_the_metrics_are_those_of_the_runs_artifact_without_fill(done):
    selection, _, results = done
    (path,) = selection.out.glob("ring/whole-*/seed-1")
    run = RunFolder(path)
    prepared, recommender = load_prepared(run), load_artifact(run.artifact).with_settings(fill=False)
    record = by_name(results, "whole", seed=1)
    for name, held_out in (("metrics", prepared.split.test), ("valid", prepared.split.valid)):
        expected = evaluate(recommender, held_out, (5, 10), prepared.catalog.num_items)
        assert record[name] == {metric: round(expected[metric], 6) for metric in record[name]}
    assert record["seed"] == prepared.seed == 1


def test_the_ranks_give_the_recorded_recall(done):
    _, _, results = done
    for record in results.records():
        ranks = results.ranks(record).ranks
        assert np.mean((ranks > 0) & (ranks <= 10)) == pytest.approx(record["metrics"]["recall@10"], abs=1e-6)


def test_another_protocol_is_another_evaluation_or_another_run(done):
    selection, _, results = done
    masked, unmasked, shuffled = (by_name(results, "whole", protocol) for protocol in ("masked", "unmasked", "masked-shuffled-ties"))
    assert masked["metrics"] != unmasked["metrics"]
    assert results.ranks(masked).users == results.ranks(shuffled).users
    assert results.ranks(masked).targets != results.ranks(shuffled).targets
    folders = sorted(path.name for path in selection.out.glob("ring/whole-*/*") if path.is_dir())
    assert folders == ["seed-0", "seed-0-shuffled-ties", "seed-1", "seed-1-shuffled-ties"]


def test_a_variant_has_no_run_of_its_own_and_the_ensemble_its_weights(done):
    selection, _, results = done
    models = {path.name.rpartition("-")[0] for path in (selection.out / "ring").iterdir()}
    assert models == {"whole", "cascade"}
    mixed = by_name(results, "mixed")
    assert sum(mixed["weights"].values()) == pytest.approx(1)
    best = max(by_name(results, model)["valid"]["ndcg@10"] for model in ("whole", "cascade"))
    assert mixed["valid"]["ndcg@10"] >= best - 1e-6  # the whole weight of either member is one of the choices
    assert mixed["seconds"] >= by_name(results, "whole")["seconds"]
    members = [by_name(results, model)["networks"] for model in ("whole", "cascade")]
    assert mixed["networks"] == members[0] | members[1]
    assert by_name(results, "sharp")["networks"] == members[0]
    assert len(set(mixed["networks"].values())) == 2


def test_records_of_other_tables_of_the_same_name_are_refused(done, tmp_path):
    selection, source, results = done
    other = dataclasses.replace(selection, data=write_data(tmp_path, "other", "ring"))
    with pytest.raises(DataError, match=f"records of another ring .{by_name(results, 'whole')['data']}"):
        run_experiment(source, other)


def test_what_is_recorded_is_not_done_again(done, monkeypatch):
    selection, source, results = done
    before = results.path.read_bytes()
    monkeypatch.setattr(module, "make_record", None)
    told = Told()
    run_experiment(source, selection, told)
    assert "  All records are there." in told.lines
    assert results.path.read_bytes() == before


def test_an_estimate_says_what_would_run_and_does_nothing(done, tmp_path):
    selection, source, _ = done
    told = Told()
    fresh = Selection(data=selection.data, out=tmp_path / "out", results=tmp_path / "results")
    results = run_experiment(source, fresh, told, estimate_only=True)
    assert "9 records to make, about" in told.lines[-1]
    assert results.records() == []
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_experiment_goes_on_after_its_last_record(tmp_path, monkeypatch):
    source = write_definition(tmp_path, {"whole": {"seeds": 2, "settings": {"training": {"num_epochs": 1}, "text": {"engines": ["lsa"]}}}})
    selection = Selection(data=write_data(tmp_path / "data"), out=tmp_path / "out", results=tmp_path / "results")
    real, calls = pipeline.train, []

    def train(*arguments):
        calls.append(Path(arguments[0]).name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(pipeline, "train", train)
    with pytest.raises(KeyboardInterrupt):
        run_experiment(source, selection)
    assert [one["seed"] for one in run_experiment(source, selection).records()] == [0, 1]
    assert calls == ["seed-0", "seed-1", "seed-1"]


def test_training_and_measuring_run_on_the_threads_that_were_asked_for(done, tmp_path):
    before, told = torch.get_num_threads(), ThreadsSeen()
    changes = {"models": ("whole",), "seeds": (0,), "protocols": ("masked",), "num_threads": before + 1}
    run_experiment(done[1], dataclasses.replace(done[0], out=tmp_path / "out", results=tmp_path / "results", **changes), told)
    assert told.threads == {before + 1}
    assert torch.get_num_threads() == before


def test_a_record_without_its_ranks_is_made_again(done):
    selection, source, results = done
    record = by_name(results, "sharp")
    results.ranks_path(record).unlink()
    told = Told()
    run_experiment(source, selection, told)
    assert len([line for line in told.lines if line.startswith("Record ")]) == 1
    assert results.ranks(record) is not None


def test_what_another_process_has_made_meanwhile_is_not_made_again(done, tmp_path, monkeypatch):
    selection, source, results = done
    fresh = dataclasses.replace(selection, results=tmp_path / "results")
    made = []

    def all_at_once(job, definition, runs):
        made.append(job)
        for record in results.records():
            Results(fresh.results, "small").add(record, results.ranks(record), "settings")
        return record, results.ranks(record)

    monkeypatch.setattr(module, "make_record", all_at_once)
    assert len(run_experiment(source, fresh).records()) == len(results.records()) > 1
    assert len(made) == 1


def test_a_scaled_experiment_stays_away_from_the_records_of_whole_ones(done, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert places("table2", Selection()) == (Path("runs/experiments"), Path("docs/results"))
    out, results = places("table2", Selection(scale=0.1))
    assert (out, results) == (Path("runs/experiments/scale-0.1"), Path("runs/experiments/scale-0.1/results"))
    assert places("table2", Selection(scale=0.1, out=Path("own")))[0] == Path("own/scale-0.1")
    with pytest.raises(ConfigError, match="--results"):
        places("table2", Selection(scale=0.1, results=tmp_path / "docs" / "results"))
    selection, source, _ = done
    scaled = Selection(data=selection.data, scale=0.5, models=("cascade",), device="cpu")
    results = run_experiment(source, scaled)
    (record,) = results.records()
    assert record["users"] == 30
    assert "| `cascade` |" in render_tables(results, load_definition(source)[1], 0.5)
    assert record["config_hash"] != by_name(done[2], "cascade")["config_hash"]
    assert not (tmp_path / "docs").exists()


def test_nothing_is_run_where_a_data_set_is_missing(tmp_path):
    with pytest.raises(DataError, match=r"beauty.items\.parquet"):
        run_experiment("table2", Selection(data=tmp_path / "data", out=tmp_path / "out", models=("cobra",)))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_small_experiment_of_the_makefile_runs_within_three_minutes(tmp_path):
    environment = tmp_path / "venv"
    environment.mkdir()
    (environment / ".installed").touch()
    words = ["make", "experiments-small", f"VENV={environment}", f"BIN={Path(sys.executable).parent}", f"SMALL={tmp_path}/small"]
    path = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    start = time.monotonic()
    done = subprocess.run(words, cwd=ROOT, env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert time.monotonic() - start < 180
    records = json.loads((tmp_path / "small/runs/scale-0.1/results/table2.json").read_text())
    assert {one["dataset"] for one in records} == {"beauty", "toys"}
    assert {one["protocol"] for one in records} == {"masked", "unmasked", "masked-shuffled-ties"}
    assert "| `cobra` |" in done.stdout
