import json

import pytest

from cobrarec.cli import main
from small_experiment import ONE_EPOCH, write_data, write_definition


def words(folder, *more: str) -> list[str]:
    source = write_definition(folder, {"one": {"settings": ONE_EPOCH}, "two": {"settings": ONE_EPOCH}})
    data = write_data(folder / "data")
    places = ["--data", str(data), "--out", str(folder / "out"), "--results", str(folder / "results")]
    return ["experiment", str(source), *places, *more]


def test_an_experiment_prints_its_tables_and_the_place_of_its_records(tmp_path, capsys):
    assert main(words(tmp_path, "--models", "two", "--datasets", "ring", "--seeds", "0", "--device", "cpu", "--num-threads", "1")) == 0
    captured = capsys.readouterr()
    assert "**ring, masked**, 60 test users" in captured.out
    assert "| `two` |" in captured.out
    assert captured.out.rstrip().endswith("small.json")
    assert "1 records to make" in captured.err or "1 record" in captured.err
    (record,) = json.loads((tmp_path / "results/small.json").read_text())
    assert (record["model"], record["seed"]) == ("two", 0)


def test_an_estimate_prints_nothing_on_stdout_and_writes_nothing(tmp_path, capsys):
    assert main(words(tmp_path, "--estimate")) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "2 records to make, about" in captured.err
    assert not (tmp_path / "out").exists()


def test_a_row_that_was_asked_for_and_has_nothing_to_make_is_named(tmp_path, capsys):
    definition = write_definition(tmp_path, {"one": {"settings": ONE_EPOCH, "seeds": 2}, "two": {"settings": ONE_EPOCH}})
    data, results = str(write_data(tmp_path / "data")), str(tmp_path / "results")
    words = ["experiment", str(definition), "--data", data, "--results", results, "--estimate", "--models", "one,two", "--seeds", "1"]
    assert main(words) == 0
    told = capsys.readouterr().err
    assert "two: nothing of it has these seeds" in told
    assert "one: nothing" not in told


@pytest.mark.parametrize("seeds", ["a", "0,-1", "1.5"])
def test_seeds_are_whole_numbers(tmp_path, capsys, seeds):
    assert main(words(tmp_path, f"--seeds={seeds}")) == 2
    assert "0,1,2" in capsys.readouterr().err


def test_an_unknown_experiment_is_the_users_fault(capsys):
    assert main(["experiment", "table3"]) == 2
    assert "table2" in capsys.readouterr().err
