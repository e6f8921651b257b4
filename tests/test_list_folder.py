"""A folder of lists: the same parts stopped and unstopped, byte for byte; other commands are refused."""

import fcntl
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cobrarec import list_folder, pipeline
from cobrarec.data.interactions import read_histories
from cobrarec.errors import DataError, Interrupted, RunError
from cobrarec.list_folder import PROGRESS, ListFolder, ListRequest, write_list_parts
from cobrarec.retrieval.recommender import Recommender
from small_run import Told, small_config, small_world

MADE_FROM = {"artifact": "a" * 64, "k": 5, "where": None}


@pytest.fixture(scope="module")
def recommender(tmp_path_factory):
    items, interactions = small_world()
    return pipeline.fit(items, interactions, tmp_path_factory.mktemp("run") / "run", small_config(training={"num_epochs": 1}))


@pytest.fixture
def histories(tmp_path):
    table = small_world()[1]
    unknown = pa.array([*["nowhere"] * 3, *table["item_id"].to_pylist()[3:]])
    pq.write_table(table.set_column(table.schema.names.index("item_id"), "item_id", unknown), tmp_path / "h.parquet")
    return tmp_path / "h.parquet"


def request_of(histories, **changes):
    return ListRequest(**{"histories": histories, "k": 5, "users_per_part": 17, "unknown": "skip", "filters": {}, **changes})


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def stop_after(monkeypatch, num_parts):
    """Ctrl-C while the part after so many is computed."""
    whole, calls = Recommender.recommend_to, []

    def recommend_to(self, histories, *arguments, **keywords):
        calls.append(histories.num_users)
        if len(calls) == num_parts + 2:  # the first call checks what is asked for
            raise KeyboardInterrupt
        return whole(self, histories, *arguments, **keywords)

    monkeypatch.setattr(Recommender, "recommend_to", recommend_to)


def test_the_parts_are_the_lists_of_all_users_in_their_order(recommender, histories, tmp_path):
    folder = ListFolder(tmp_path / "lists", MADE_FROM)
    write_list_parts(recommender, request_of(histories), folder)
    names = [f"part-{number:05d}.parquet" for number in range(4)]
    assert sorted(contents(folder.path)) == [PROGRESS, *names]
    views, counts = read_histories(pq.read_table(histories), recommender.catalog)
    whole = recommender.recommend_to(views, 5).to_arrow(views.user_ids)
    parts = pa.concat_tables([pq.read_table(folder.path / name) for name in names])
    assert parts.drop_columns("score").equals(whole.drop_columns("score"))
    assert parts["score"].to_pylist() == pytest.approx(whole["score"].to_pylist(), rel=3e-5)
    assert pq.read_table(folder.path).equals(parts), "readers of folders skip what is no part"
    assert folder.is_finished
    assert (folder.num_users, folder.num_users_done, folder.num_lists) == (60, 60, 60)
    assert folder.num_unknown == counts.num_unknown == 3


@pytest.mark.parametrize("num_parts", [0, 1, 3])
def test_a_stopped_folder_goes_on_to_the_same_bytes(recommender, histories, tmp_path, monkeypatch, num_parts):
    whole, stopped = (ListFolder(tmp_path / name, MADE_FROM) for name in ("whole", "stopped"))
    write_list_parts(recommender, request_of(histories), whole)
    with monkeypatch.context() as patched:
        stop_after(patched, num_parts)
        with pytest.raises(Interrupted, match=f"Stopped; the lists of {17 * num_parts} of 60 users are complete"):
            write_list_parts(recommender, request_of(histories), stopped)
    times = {path.name: path.stat().st_mtime_ns for path in stopped.path.glob("part-*")}
    assert len(times) == num_parts
    told = Told()
    again = ListFolder(stopped.path, MADE_FROM)
    assert not again.is_finished
    write_list_parts(recommender, request_of(histories), again, told)
    assert {name: (stopped.path / name).stat().st_mtime_ns for name in times} == times, "complete parts are not computed again"
    assert told.lines == [], "histories that are sorted are not sorted again"
    assert contents(stopped.path) == contents(whole.path)


def test_a_killed_process_leaves_nothing_that_counts(recommender, histories, tmp_path, monkeypatch):
    whole, killed = (ListFolder(tmp_path / name, MADE_FROM) for name in ("whole", "killed"))
    write_list_parts(recommender, request_of(histories), whole)
    with monkeypatch.context() as patched:
        stop_after(patched, 2)
        with pytest.raises(Interrupted):
            write_list_parts(recommender, request_of(histories), killed)
    (killed.path / "part-00002.parquet").write_bytes(b"renamed, and not recorded")
    (killed.path / ".part-00003.parquet.1.partial").write_bytes(b"half")
    (killed.path / "part-00001.parquet").write_bytes(b"cut off")
    write_list_parts(recommender, request_of(histories), ListFolder(killed.path, MADE_FROM))
    assert contents(killed.path) == contents(whole.path)


def test_a_finished_folder_says_so_until_a_part_is_gone(recommender, histories, tmp_path):
    folder = ListFolder(tmp_path / "lists", MADE_FROM)
    write_list_parts(recommender, request_of(histories), folder)
    before = contents(folder.path)
    assert ListFolder(folder.path, MADE_FROM).is_finished
    (folder.path / "part-00001.parquet").unlink()
    again = ListFolder(folder.path, MADE_FROM)
    assert not again.is_finished
    write_list_parts(recommender, request_of(histories), again)
    assert contents(folder.path) == before


def test_another_command_is_refused_and_what_differs_is_said(recommender, histories, tmp_path, monkeypatch):
    folder = ListFolder(tmp_path / "lists", MADE_FROM)
    stop_after(monkeypatch, 1)
    with pytest.raises(Interrupted):
        write_list_parts(recommender, request_of(histories), folder)
    with pytest.raises(RunError, match=r"another command \(k 5 there, 6 here\)"):
        ListFolder(folder.path, {**MADE_FROM, "k": 6})
    with pytest.raises(RunError, match=r'another artifact; where null there, \{"brand": "X"\} here'):
        ListFolder(folder.path, {**MADE_FROM, "artifact": "b" * 64, "where": {"brand": "X"}})


def test_a_folder_without_a_complete_part_is_anybodys(recommender, histories, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        stop_after(patched, 0)
        with pytest.raises(Interrupted):
            write_list_parts(recommender, request_of(histories), ListFolder(tmp_path / "lists", MADE_FROM))
    other = small_world()[1].slice(0, 30)
    pq.write_table(other, histories)
    folder = ListFolder(tmp_path / "lists", {**MADE_FROM, "k": 6})
    write_list_parts(recommender, request_of(histories, k=6), folder)
    assert folder.num_users == len(set(other["user_id"].to_pylist()))
    assert json.loads((folder.path / PROGRESS).read_text())["made_from"]["k"] == 6


def test_what_cannot_be_asked_for_is_refused_before_the_folder_is_made(recommender, histories, tmp_path):
    with pytest.raises(DataError, match="its columns are"):
        write_list_parts(recommender, request_of(histories, filters={"where": {"brnd": 1}}), ListFolder(tmp_path / "lists", MADE_FROM))
    assert not (tmp_path / "lists").exists()


def test_foreign_folders_and_files_are_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="holds mine.txt and no _progress.json"):
        ListFolder(tmp_path, MADE_FROM)
    with pytest.raises(RunError, match="is a file"):
        ListFolder(tmp_path / "mine.txt", MADE_FROM)


def test_a_folder_that_another_process_writes_to_is_refused(recommender, histories, tmp_path):
    (tmp_path / "lists").mkdir()
    other = os.open(tmp_path / "lists", os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(RunError, match="Another process"):
        write_list_parts(recommender, request_of(histories), ListFolder(tmp_path / "lists", MADE_FROM))
    os.close(other)


def test_a_table_without_rows_gives_a_finished_folder_without_parts(recommender, histories, tmp_path):
    pq.write_table(small_world()[1].slice(0, 0), histories)
    folder = ListFolder(tmp_path / "lists", MADE_FROM)
    write_list_parts(recommender, request_of(histories), folder)
    assert ListFolder(folder.path, MADE_FROM).is_finished
    assert list(contents(folder.path)) == [PROGRESS]


def test_the_user_is_told_of_an_interruption_while_the_table_is_sorted(recommender, histories, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(list_folder, "sort_by_user", interrupted)
    with pytest.raises(Interrupted, match="the lists of 0 users are complete"):
        write_list_parts(recommender, request_of(histories), ListFolder(tmp_path / "lists", MADE_FROM))
