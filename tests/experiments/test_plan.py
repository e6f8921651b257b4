from pathlib import Path

import pytest

from cobrarec.errors import ConfigError
from cobrarec.experiments.definition import load_definition
from cobrarec.experiments.plan import Job, RunName, Selection, plan_jobs, runs_of, still_to_do
from small_experiment import WITHOUT_DIRECT, write_definition


@pytest.fixture
def small(tmp_path):
    return load_definition(write_definition(tmp_path, datasets=["ring", "other"]))[1]


def test_every_row_seed_and_protocol_of_a_data_set_is_a_job(small):
    jobs = plan_jobs(small, Selection(datasets=("ring",)))
    found = [(job.model, job.seed, job.protocol) for job in jobs]
    whole = [("whole", seed, protocol) for seed in (0, 1) for protocol in ("masked", "unmasked", "masked-shuffled-ties")]
    assert found == [*whole, ("cascade", 0, "masked"), ("sharp", 0, "masked"), ("mixed", 0, "masked")]
    assert {job.config_hash for job in jobs if job.model == "sharp"} == {small.hash_of("sharp")}


def test_protocols_of_one_data_set_stay_there(small):
    jobs = plan_jobs(small, Selection(datasets=("other",), models=("whole",)))
    assert [(job.seed, job.protocol) for job in jobs] == [(0, "masked"), (1, "masked")]


def test_a_selection_takes_part_of_it(small):
    jobs = plan_jobs(small, Selection(models=("mixed", "whole"), seeds=(1,)))
    assert {(job.dataset, job.model, job.seed) for job in jobs} == {("ring", "whole", 1), ("other", "whole", 1)}
    jobs = plan_jobs(small, Selection(datasets=("ring",), protocols=("unmasked",)))
    assert {(job.model, job.seed, job.protocol) for job in jobs} == {("whole", 0, "unmasked"), ("whole", 1, "unmasked")}


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (Selection(datasets=("mars",)), "--datasets names mars"),
        (Selection(models=("nobody",)), "whole, cascade"),
        (Selection(seeds=(7,)), "--seeds 7.*whole seeds 0,1; cascade seeds 0"),
        (Selection(seeds=(1,), models=("cascade",), protocols=("masked",)), "--seeds 1 and --protocols masked"),
        (Selection(protocols=("alone",)), "--protocols names alone"),
        (Selection(scale=0.0), "--scale"),
        (Selection(scale=1.5), "--scale"),
    ],
)
def test_a_selection_of_what_is_not_there_is_refused(small, selection, words):
    with pytest.raises(ConfigError, match=words):
        plan_jobs(small, selection)


def test_variants_ensembles_and_shuffled_ties_name_their_runs(small):
    def runs(model, seed=0, protocol="masked"):
        return runs_of(Job("ring", model, seed, protocol, "hash"), small)

    whole, cascade = small.hash_of("whole"), small.hash_of("cascade")
    assert runs("whole", 1) == [RunName("ring", "whole", 1, False, whole)]
    assert runs("sharp") == [RunName("ring", "whole", 0, False, whole)]
    assert runs("mixed", 1) == [RunName("ring", "whole", 1, False, whole), RunName("ring", "cascade", 0, False, cascade)]
    (shuffled,) = runs("whole", 1, "masked-shuffled-ties")
    assert shuffled.folder(Path("out")) == Path(f"out/ring/whole-{whole[:8]}/seed-1-shuffled-ties")
    assert runs("whole", 0)[0].folder(Path("out")) == Path(f"out/ring/whole-{whole[:8]}/seed-0")
    assert runs("whole", 0, "unmasked") == runs("whole", 0)


def test_rows_of_one_name_share_a_run_only_under_the_same_settings_and_scale(small, tmp_path):
    changed = load_definition(write_definition(tmp_path / "changed", {"whole": {"settings": WITHOUT_DIRECT}}))[1]
    names = [
        runs_of(Job("ring", "whole", 0, "masked", "hash"), *of)[0].folder(Path("out"))
        for of in ((small,), (small, None), (changed,), (small, 0.5))
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_what_is_recorded_under_the_same_settings_is_not_done_again(small):
    jobs = plan_jobs(small, Selection(datasets=("ring",)))
    records = [vars(jobs[0]), {**vars(jobs[1]), "config_hash": "other settings"}]
    assert still_to_do(jobs, records) == jobs[1:]
