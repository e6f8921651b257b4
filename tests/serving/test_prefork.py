import errno
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from small_server import artifact_in, item_ids, over_loopback
from test_server import ASK, asking

from cobrarec.artifact import load_artifact, open_live_catalog
from cobrarec.serving.browse import search_items
from cobrarec.serving.client import Client, RefusedError
from cobrarec.serving.prefork import Supervisor
from cobrarec.serving.server_settings import ServerSettings
from cobrarec.serving.worker import Address, WorkerPlan
from small_run import small_world


def children_of(process):
    """Processes that a process has started."""
    return {int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()}


def is_running(process):
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(holds, seconds=60):
    """Wait until it holds; fail where it does not."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)


@pytest.fixture
def two_workers(tmp_path):
    folder = artifact_in(tmp_path)
    with over_loopback(folder, "--workers", "2") as (url, process), Client(url) as client:
        yield folder, url, process, client


def test_workers_share_a_port_only_read_and_are_started_again_when_they_die(two_workers):
    _, _, process, client = two_workers
    with pytest.raises(RefusedError, match="only reads"):
        client.put_items([{"item_id": "new", "title": "x"}])
    workers = children_of(process.pid)
    assert len(workers) == 2
    killed = min(workers)
    os.kill(killed, signal.SIGKILL)
    until(lambda: len(children_of(process.pid) - {killed}) == 2)
    assert len(client.recommend(**ASK)["lists"][0]) == 5
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.count("Serving on") == 1
    assert out.count("Stopped.") == 1
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


@pytest.mark.parametrize("way", ["signal", "http"])
def test_a_reload_puts_new_workers_in_the_place_of_the_old_without_a_failed_request(two_workers, way):
    folder, url, process, client = two_workers
    over, answers = threading.Event(), []
    asker = threading.Thread(target=asking, args=(url, over, answers))
    asker.start()
    until(lambda: answers)
    workers = children_of(process.pid)
    writer = open_live_catalog(folder, "cobrarec items add")
    like = small_world()[0].slice(0, 1).to_pylist()[0]
    writer.put(small_world()[0].slice(0, 0).from_pylist([{**like, "item_id": "new"}], small_world()[0].schema))
    writer.close()
    if way == "signal":
        process.send_signal(signal.SIGHUP)
    else:
        assert client.reload()["catalog_version"] == 1
    until(lambda: not children_of(process.pid) & workers)
    over.set()
    asker.join()
    assert {status for status, _ in answers} == {200}
    for _ in range(6):
        with Client(url) as fresh:
            assert fresh.ready()["catalog_version"] == 1
            assert fresh.item("new")["is_listed"]
    assert item_ids(1)[0] in {item["item_id"] for item in client.recommend([["new"]], 100)["lists"][0]}


@pytest.mark.parametrize("broken", ["codes.npy", "manifest.json"])
def test_a_broken_artifact_leaves_the_workers_that_there_are_and_starts_others_for_them(two_workers, broken):
    folder, url, process, client = two_workers
    workers, before = children_of(process.pid), client.ready()
    (folder / broken).write_bytes(b"broken")
    process.send_signal(signal.SIGHUP)
    with pytest.raises(RefusedError, match="artifact"):
        client.reload()
    time.sleep(1)
    assert children_of(process.pid) == workers
    assert client.ready() == before
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    until(lambda: len(children_of(process.pid) - workers) == 2)
    with Client(url) as fresh:
        assert fresh.ready() == before


def test_workers_end_when_the_first_process_is_killed(two_workers):
    _, _, process, _ = two_workers
    workers = children_of(process.pid)
    process.kill()
    until(lambda: not any(is_running(worker) for worker in workers))


def test_workers_search_for_words_though_their_threads_came_after_the_fork(two_workers):
    folder, _, _, client = two_workers
    recommender = load_artifact(folder)
    word = recommender.catalog.titles[0].split()[0]
    assert client.find_items(word)["num_found"] == search_items(recommender, word, 1)[0] > 0
    assert client.semantic_ids()["num_items"] == 48


def test_a_reload_for_which_no_process_can_be_started_leaves_what_there_is(tmp_path, monkeypatch):
    plan = WorkerPlan(folder=artifact_in(tmp_path), address=Address(), settings=ServerSettings())
    supervisor = Supervisor(plan, 2, socket.socket())
    served, stopped, files = supervisor._loaded, [], len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(supervisor, "_stop", stopped.extend)
    supervisor._hash, supervisor._workers = "another one", {1, 2}

    def fails():
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fails)
    supervisor._reload()
    assert supervisor._loaded is served
    assert len(os.listdir("/proc/self/fd")) == files
    assert (supervisor._hash, supervisor._workers, stopped) == ("another one", {1, 2}, [])


def test_signals_without_end_do_not_stop_the_first_process(two_workers):
    """A handler that takes a lock which its own thread holds would, one time in some thousands."""
    _, _, process, client = two_workers
    threading.Thread(target=lambda: [None for _ in process.stdout], daemon=True).start()  # or the log would stop it
    for _ in range(20_000):
        process.send_signal(signal.SIGCHLD)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
