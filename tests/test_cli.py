"""The command line from outside: what goes to stdout and stderr, and the exit codes."""

import errno
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cobrarec import pipeline
from cobrarec.cli import main
from cobrarec.errors import Interrupted
from small_run import differing, small_world, write_small


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    assert main(["fit", *write_small(folder), "--out", str(folder / "run")]) == 0
    return folder / "run"


def item_ids(count: int) -> list[str]:
    return small_world()[0]["item_id"].to_pylist()[:count]


def test_fit_prints_the_table_and_the_places_and_says_the_rest_on_stderr(tmp_path, capsys):
    assert main(["fit", *write_small(tmp_path), "--out", str(tmp_path / "run"), "--test"]) == 0
    captured = capsys.readouterr()
    for part in ("cobra", "popularity", "counts", "ndcg@10", "test", str(tmp_path / "run" / "artifact"), "report.html"):
        assert part in captured.out
    for part in ("Audit of the tables", "Health card", "Epoch 1", "interactions"):
        assert part in captured.err
        assert part not in captured.out


def test_the_steps_can_be_taken_one_by_one(tmp_path, capsys):
    run = str(tmp_path / "run")
    assert main(["prepare", *write_small(tmp_path), "--out", run]) == 0
    assert main(["semantic-ids", "--run", run]) == 0
    assert main(["train", "--run", run]) == 0
    assert main(["report", "--run", run]) == 0
    capsys.readouterr()
    assert main(["evaluate", "--run", run, "--split", "test", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert set(results["test"]) == {"cobra", "popularity", "counts", "content"}


def test_evaluate_prints_a_table(run, capsys):
    assert main(["evaluate", "--run", str(run), "--k", "3", "--include-history"]) == 0
    assert "recall@3" in capsys.readouterr().out


def test_recommend_writes_every_user_in_order(run, tmp_path, capsys):
    histories = small_world()[1].slice(0, 40)
    pq.write_table(histories, tmp_path / "h.parquet")
    words = ["recommend", "--artifact", str(run / "artifact"), "--histories", str(tmp_path / "h.parquet"), "--k", "4"]
    assert main([*words, "--out", str(tmp_path / "lists.parquet")]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "split last-two" in captured.err
    lists = pq.read_table(tmp_path / "lists.parquet")
    assert lists.schema.names == ["user_id", "rank", "item_id", "score", "source"]
    users = list(dict.fromkeys(histories["user_id"].to_pylist()))
    assert lists["user_id"].to_pylist() == [user for user in users for _ in range(4)]
    assert lists["rank"].to_pylist() == [1, 2, 3, 4] * len(users)
    assert main([*words, "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["user_id"] for record in records] == users
    flat = [item["item_id"] for record in records for item in record["items"]]
    assert flat == lists["item_id"].to_pylist()


def many_histories(path: Path, num_copies: int) -> None:
    """The small world's histories again and again, as those of other users."""
    table = small_world()[1]
    place, users = table.schema.names.index("user_id"), table["user_id"].to_pylist()
    copies = [table.set_column(place, "user_id", pa.array([f"{user}-{copy}" for user in users])) for copy in range(num_copies)]
    pq.write_table(pa.concat_tables(copies), path)


def test_lists_go_into_a_folder_of_parts_that_only_the_same_command_goes_on_with(run, tmp_path, capsys):
    many_histories(tmp_path / "h.parquet", 2)
    words = ["recommend", "--artifact", str(run / "artifact"), "--histories", str(tmp_path / "h.parquet"), "--k", "4"]
    assert main([*words, "--out", str(tmp_path / "lists.parquet")]) == 0
    folder = tmp_path / "lists"
    assert main([*words, "--out", str(folder), "--users-per-part", "50"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{folder} is complete: 120 lists in 3 parts" in captured.err
    assert pq.read_table(folder).drop_columns("score").equals(pq.read_table(tmp_path / "lists.parquet").drop_columns("score"))
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert main([*words, "--out", str(folder), "--users-per-part", "50"]) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [f"{folder} is complete: 120 lists in 3 parts"], "the artifact is not even loaded"
    title = small_world()[0]["title"].to_pylist()[7]
    for other, told in [
        (["--k", "5"], "k 4 there, 5 here"),
        (["--include-history"], "settings"),
        (["--exclude", item_ids(1)[0]], "exclude"),
    ]:
        assert main([*words, "--out", str(folder), "--users-per-part", "50", *other]) == 2
        assert told in capsys.readouterr().err
    assert main([*words, "--out", str(folder), "--users-per-part", "50", "--where", json.dumps({"title": title})]) == 2
    assert "where null there" in capsys.readouterr().err
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_what_is_left_out_of_a_folder_is_counted(run, tmp_path, capsys):
    many_histories(tmp_path / "h.parquet", 1)
    (tmp_path / "only.txt").write_text(item_ids(1)[0])
    with (tmp_path / "h.csv").open("w") as file:
        file.write("user_id,item_id\nu,nowhere\nu,nowhere else\nv," + item_ids(1)[0] + "\n")
    words = ["recommend", "--artifact", str(run / "artifact"), "--histories", str(tmp_path / "h.csv"), "--out", str(tmp_path / "lists")]
    assert main([*words, "--allow", str(tmp_path / "only.txt")]) == 0
    error = capsys.readouterr().err
    assert "Left out because the artifact does not know them: 2 interactions" in error
    assert "is complete: 1 lists in 1 parts; 1 users have no item left to recommend, and so no row" in error


@pytest.mark.parametrize("words", [["--item", "1", "--out", "lists"], ["--histories", "nowhere.parquet", "--out", "lists"]])
def test_a_folder_is_for_a_table_of_histories(run, tmp_path, capsys, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    assert main(["recommend", "--artifact", str(run / "artifact"), *words]) == 2
    assert list(tmp_path.iterdir()) == []
    assert "histories" in capsys.readouterr().err


def test_sigterm_leaves_a_folder_of_lists_that_the_same_command_goes_on_with(run, tmp_path, capsys):
    import signal
    import subprocess
    import sys
    import time

    many_histories(tmp_path / "h.parquet", 10)
    words = ["recommend", "--artifact", str(run / "artifact"), "--histories", str(tmp_path / "h.parquet"), "--users-per-part", "6", "--out"]
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    with subprocess.Popen([sys.executable, "-m", "cobrarec", *words, str(stopped)], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not (stopped / "part-00001.parquet").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        error = process.stderr.read()
    assert process.returncode == 143
    assert "of 600 users are complete and kept. Go on with: cobrarec recommend" in error
    assert "--resume" not in error
    assert main([*words, str(stopped)]) == 0
    assert f"{stopped} holds the lists of " in capsys.readouterr().err
    assert main([*words, str(whole)]) == 0
    assert {path.name: path.read_bytes() for path in stopped.iterdir()} == {path.name: path.read_bytes() for path in whole.iterdir()}


@pytest.mark.parametrize(("folder", "learned"), [("artifact", "training and validation interactions"), ("chosen", "training interactions")])
def test_recommend_says_what_the_artifact_has_learned_from(run, capsys, folder, learned):
    assert main(["recommend", "--artifact", str(run / folder), "--item", item_ids(1)[0], "--json"]) == 0
    assert capsys.readouterr().err.splitlines()[0].endswith(f"split last-two, learned from {learned}")


def test_recommend_says_that_a_table_of_histories_is_empty(run, tmp_path, capsys):
    pq.write_table(small_world()[1].slice(0, 0), tmp_path / "h.parquet")
    assert main(["recommend", "--artifact", str(run / "artifact"), "--histories", str(tmp_path / "h.parquet"), "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == []
    assert "h.parquet holds no rows" in captured.err


def test_recommend_for_a_history_from_the_command_line(run, capsys):
    first, second, third = item_ids(3)
    words = ["recommend", "--artifact", str(run / "artifact"), "--item", first, "--item", second, "--k", "5"]
    assert main([*words, "--explain"]) == 0
    assert "why" in capsys.readouterr().out
    assert main([*words, "--json", "--exclude", third]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert set(record["items"][0]) == {"item_id", "score", "rank", "semantic_id", "source", "why"}
    assert not {item["item_id"] for item in record["items"]} & {first, second, third}
    assert main([*words, "--json", "--allow", third, "--num-beams", "2", "--tau", ".5", "--psi", "4"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert [item["item_id"] for item in record["items"]] == [third]


def test_conditions_on_columns_limit_the_lists(run, capsys):
    items = small_world()[0]
    words = ["recommend", "--artifact", str(run / "artifact"), "--item", item_ids(1)[0], "--json", "--where"]
    title = items["title"].to_pylist()[7]
    assert main([*words, json.dumps({"title": [title, "nothing"]})]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert [item["item_id"] for item in record["items"]] == [items["item_id"].to_pylist()[7]]
    assert main([*words, '{"brnd": 1}']) == 2
    assert "its columns are: item_id, title" in capsys.readouterr().err


def test_lists_of_items_can_come_from_files(run, tmp_path, capsys):
    items = item_ids(6)
    (tmp_path / "not.txt").write_text("\n".join(items[2:4]) + "\n\n")
    pq.write_table(small_world()[0].slice(0, 5), tmp_path / "only.parquet")
    words = ["recommend", "--artifact", str(run / "artifact"), "--item", items[0], "--json"]
    assert main([*words, "--exclude", str(tmp_path / "not.txt"), "--allow", str(tmp_path / "only.parquet")]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert {item["item_id"] for item in record["items"]} == {items[1], items[4]}


def test_unknown_items_are_left_out_or_refused(run, capsys):
    words = ["recommend", "--artifact", str(run / "artifact"), "--item", item_ids(1)[0], "--item", "nowhere", "--json"]
    assert main(words) == 0
    captured = capsys.readouterr()
    assert "'nowhere'" in captured.err
    assert len(json.loads(captured.out)[0]["items"]) == 10
    assert main([*words, "--unknown", "error"]) == 2
    assert "'nowhere'" in capsys.readouterr().err


def test_items_are_added_removed_and_compacted(run, tmp_path, capsys):
    import shutil

    artifact = str(shutil.copytree(run / "artifact", tmp_path / "artifact"))
    (tmp_path / "new.csv").write_text("item_id,title\nfresh,a fresh thing\n")
    assert main(["items", "add", "--artifact", artifact, "--items", str(tmp_path / "new.csv")]) == 0
    assert "1 added; catalog version 1" in capsys.readouterr().out
    assert main(["items", "add", "--artifact", artifact, "--items", str(tmp_path / "new.csv")]) == 0
    assert "1 unchanged; catalog version 1" in capsys.readouterr().out
    assert main(["items", "remove", "--artifact", artifact, "--item", item_ids(1)[0]]) == 0
    assert "1 removed; catalog version 2" in capsys.readouterr().out
    assert main(["recommend", "--artifact", artifact, "--item", "fresh", "--k", "100", "--json", "--unknown", "error"]) == 0
    listed = {item["item_id"] for item in json.loads(capsys.readouterr().out)[0]["items"]}
    assert listed == set(small_world()[0]["item_id"].to_pylist()) - {item_ids(1)[0]}
    assert main(["items", "compact", "--artifact", artifact, "--out", str(tmp_path / "compacted")]) == 0
    assert "49 items, catalog version 2" in capsys.readouterr().out
    assert main(["verify", "--artifact", artifact]) == 0
    assert "2 changes of items since" in capsys.readouterr().out
    assert main(["items", "remove", "--artifact", artifact, "--item", "nobody"]) == 2
    assert "'nobody'" in capsys.readouterr().err


def test_items_of_a_ranker_without_a_network_stay_as_they_are(tmp_path, capsys):
    words = write_small(tmp_path)[:4]
    assert main(["fit", *words, "--out", str(tmp_path / "run"), "--model", "popularity"]) == 0
    capsys.readouterr()
    assert main(["items", "remove", "--artifact", str(tmp_path / "run" / "artifact"), "--item", item_ids(1)[0]]) == 2
    assert "of the ranker popularity" in capsys.readouterr().err
    assert not (tmp_path / "run" / "artifact" / "changes").exists()


def test_verify_says_what_the_artifact_is_and_refuses_an_altered_one(run, tmp_path, capsys):
    import shutil

    artifact = tmp_path / "artifact"
    shutil.copytree(run / "artifact", artifact)
    assert main(["verify", "--artifact", str(artifact)]) == 0
    assert "split last-two" in capsys.readouterr().out
    (artifact / "popularity.npy").write_bytes(b"other")
    assert main(["verify", "--artifact", str(artifact)]) == 2
    assert main(["recommend", "--artifact", str(artifact), "--item", item_ids(1)[0]]) == 2
    assert capsys.readouterr().err.count("popularity.npy") == 2


@pytest.mark.parametrize(
    "words",
    [
        ["recommend", "--artifact", "nowhere", "--item", "1"],
        ["recommend", "--artifact", "nowhere"],
        ["recommend", "--artifact", "nowhere", "--item", "1", "--histories", "h.csv"],
        ["recommend", "--artifact", "nowhere", "--item", "1", "--k", "0"],
        ["recommend", "--artifact", "nowhere", "--item", "1", "--users-per-part", "0"],
        ["recommend", "--artifact", "nowhere", "--item", "1", "--where", "brand=X"],
        ["evaluate", "--run", "nowhere"],
        ["train", "--run", "nowhere"],
        ["report", "--run", "nowhere"],
        ["fit", "--items", "nowhere.csv", "--interactions", "nowhere.csv", "--out", "nowhere"],
        ["fit", "--items", "i.csv", "--interactions", "x.csv", "--out", "r", "--config", "nowhere.yaml"],
        ["fit", "--items", "i.csv", "--interactions", "x.csv", "--out", "r", "--like", "nowhere"],
        ["fit", "--items", "i.csv", "--interactions", "x.csv", "--out", "r", "--model", "nothing"],
        ["fit", "--items", "i.csv", "--interactions", "x.csv", "--out", "r", "--model", "counts", "--config", "demo"],
    ],
)
def test_what_the_user_got_wrong_is_one_line_and_code_2(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith("cobrarec: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "run"), 3, "No space left"),
        (MemoryError(), 3, "memory"),
        (ZeroDivisionError("division by zero"), 1, "our fault"),
        (Interrupted("Stopped after step 3 of 9."), 130, "Go on with: cobrarec fit --items"),
        (KeyboardInterrupt(), 130, "--resume"),
    ],
)
def test_the_exit_code_says_whose_fault_it_was(error, code, text, tmp_path, monkeypatch, capsys):
    def fail(*arguments, **keywords):
        raise error

    monkeypatch.setattr(pipeline, "fit", fail)
    assert main(["fit", *write_small(tmp_path), "--out", str(tmp_path / "run")]) == code
    captured = capsys.readouterr()
    assert text in captured.err
    assert "Traceback" not in captured.err


def test_debug_shows_the_traceback(tmp_path, capsys):
    assert main(["--debug", "train", "--run", str(tmp_path)]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_closed_pipe_is_no_fault(run, form):
    import subprocess
    import sys

    words = [sys.executable, "-m", "cobrarec", "recommend", "--artifact", str(run / "artifact"), "--item", item_ids(1)[0], *form]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        error = process.stderr.read()
    assert process.returncode == 0
    assert "Traceback" not in error
    assert "fault" not in error


def test_a_fit_that_is_killed_goes_on_to_the_same_artifact(tmp_path):
    import subprocess
    import sys
    import time

    tables = write_small(tmp_path)
    words = ["fit", *tables, "--training.checkpoint-seconds", "0.1", "--training.num-epochs", "10", "--training.patience", "0"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with subprocess.Popen([sys.executable, "-m", "cobrarec", *words, "--out", str(killed)], stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not (killed / "checkpoints" / "checkpoint.json").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -9, "it ended before it could be killed"
    assert main([*words, "--out", str(killed), "--resume"]) == 0
    assert main([*words, "--out", str(whole)]) == 0
    assert differing(killed, whole) == set()


def test_sigterm_leaves_a_checkpoint_and_says_how_to_go_on(tmp_path):
    import signal
    import subprocess
    import sys
    import time

    folder = tmp_path / "run"
    words = [sys.executable, "-m", "cobrarec", "fit", *write_small(tmp_path), "--out", str(folder), "--training.num-epochs", "500"]
    with subprocess.Popen([*words, "--training.patience", "0"], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while not (folder / "checkpoints" / "checkpoint.json").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        error = process.stderr.read()
    assert process.returncode == 143
    assert "Stopped after step" in error
    assert "--resume" in error


def test_unknown_filters_are_counted_or_refused(run, capsys):
    words = ["recommend", "--artifact", str(run / "artifact"), "--item", item_ids(1)[0], "--exclude", "zzz", "--json"]
    assert main(words) == 0
    assert "1 items of --exclude, such as 'zzz'" in capsys.readouterr().err
    assert main([*words, "--unknown", "error"]) == 2
    error = capsys.readouterr().err
    assert "zzz" in error
    assert "Left out" not in error


def test_a_place_that_cannot_be_written_is_the_users_fault(run, tmp_path, capsys):
    (tmp_path / "folder.parquet").mkdir()
    words = ["recommend", "--artifact", str(run / "artifact"), "--item", item_ids(1)[0], "--out"]
    assert main([*words, str(tmp_path / "folder.parquet")]) == 2
    assert main([*words, "/proc/nowhere/lists.parquet"]) == 2
    assert main([*words, str(tmp_path / "lists.txt")]) == 2
    assert main([*words, str(tmp_path / "lists.csv"), "--explain"]) == 2
    assert "our fault" not in capsys.readouterr().err


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("cobrarec 0.")


def test_the_steps_one_by_one_leave_what_fit_leaves(run, tmp_path, capsys):
    tables, out = write_small(tmp_path), tmp_path / "steps"
    assert main(["prepare", *tables, "--out", str(out)]) == 0
    assert main(["semantic-ids", "--run", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(out / "semantic_ids")
    assert main(["semantic-ids", "--run", str(out)]) == 0
    assert "there already" in capsys.readouterr().err
    assert main(["train", "--run", str(out)]) == 0
    assert main(["evaluate", "--run", str(out)]) == 0
    assert differing(run, out) == set()
    for name in ("metrics.json", "examples.json"):
        assert (out / name).read_bytes() == (run / name).read_bytes()
    assert {path.name for path in out.iterdir()} == {path.name for path in run.iterdir()}
    assert main(["evaluate", "--run", str(out), "--split", "test"]) == 0
    assert ">Test<" in (out / "report.html").read_text()


def test_a_ranker_without_a_network_is_fitted_and_asked_by_the_same_commands(tmp_path, capsys):
    tables, out = write_small(tmp_path)[:4], str(tmp_path / "run")
    assert main(["fit", *tables, "--out", out, "--model", "counts", "--test"]) == 0
    assert "Ranker counts: transition counts, window" in capsys.readouterr().err
    assert main(["semantic-ids", "--run", out]) == 2
    assert f"cobrarec train --run {out}" in capsys.readouterr().err
    words = ["recommend", "--artifact", f"{out}/artifact", "--item", item_ids(1)[0]]
    assert main([*words, "--explain"]) == 0
    assert main(["verify", "--artifact", f"{out}/artifact"]) == 0
    assert "ranker counts" in capsys.readouterr().out
    assert main([*words, "--num-beams", "3"]) == 2
    assert "`num_beams` has no effect" in capsys.readouterr().err


def test_a_run_that_is_none_is_no_example(tmp_path, capsys):
    assert main(["fit", *write_small(tmp_path)[:4], "--out", str(tmp_path / "run"), "--split", "none", "--like", "nowhere"]) == 2
    assert "--like nowhere is no run" in capsys.readouterr().err
