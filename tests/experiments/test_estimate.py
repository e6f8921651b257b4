import pytest

from cobrarec.config import Config
from cobrarec.experiments import estimate
from cobrarec.experiments.datasets import Tables
from cobrarec.experiments.definition import load_definition
from cobrarec.experiments.estimate import minutes, plan_lines, training_seconds
from cobrarec.experiments.plan import Selection, plan_jobs
from small_experiment import record, tied_world, write_definition


@pytest.fixture
def small(tmp_path):
    return load_definition(write_definition(tmp_path))[1]


def lines(small, todo, records, out):
    jobs = plan_jobs(small, Selection())
    return plan_lines(jobs, jobs if todo is None else todo, small, {"ring": Tables(*tied_world())}, records, out, None)


def test_the_rough_rule_grows_with_the_epochs():
    tables = Tables(*tied_world())
    short, long = (training_seconds(Config(training={"num_epochs": epochs}), tables) for epochs in (2, 4))
    fixed = estimate.SECONDS_PER_RUN + 60 * estimate.SECONDS_PER_USER
    assert long - fixed == pytest.approx(2 * (short - fixed))
    assert short > fixed


def test_each_row_says_what_is_recorded_and_a_run_is_counted_once(small, tmp_path):
    told = lines(small, None, [], tmp_path)
    assert told[0].startswith("ring, whole: seeds 0, 1; masked, unmasked, masked-shuffled-ties; 0 of 6 recorded; 4 to train, about ")
    assert "by a rough rule" in told[0]
    assert "0 to train" in told[2]  # a variant's run is the other row's
    assert "0 to train" in told[3]
    assert told[-1].startswith("9 records to make")


def test_earlier_records_give_the_time(small, tmp_path):
    records = [
        record("whole", 0.1, dataset="ring", seconds=7200.0, config_hash=small.hash_of("whole")),
        record("of-another-name", 0.1, dataset="ring", seconds=3600.0, config_hash=small.hash_of("cascade")),
        record("cascade", 0.1, dataset="ring", seconds=9.0, config_hash="other settings"),
        record("cascade", 0.1, dataset="mars", seconds=9.0, config_hash=small.hash_of("cascade")),
    ]
    told = lines(small, None, records, tmp_path)
    assert "4 to train, about 8.0 h" in told[0]
    assert "rough" not in told[0]
    assert "1 to train, about 60 min" in told[1]


def test_runs_that_are_trained_already_cost_their_evaluation_alone(small, tmp_path):
    (tmp_path / f"ring/cascade-{small.hash_of('cascade')[:8]}/seed-0/artifact").mkdir(parents=True)
    assert "0 to train, about 1 min" in lines(small, None, [], tmp_path)[1]


def test_what_is_all_recorded_says_so(small, tmp_path):
    told = lines(small, [], [], tmp_path)
    assert told[0].endswith("6 of 6 recorded")
    assert told[-1] == "All records are there."


@pytest.mark.parametrize(("seconds", "shown"), [(3.0, "1 min"), (600.0, "10 min"), (10_800.0, "3.0 h")])
def test_times_are_told_in_minutes_or_hours(seconds, shown):
    assert minutes(seconds) == shown
