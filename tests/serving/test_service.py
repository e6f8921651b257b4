import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from small_server import artifact_in, item_ids

from cobrarec import pipeline
from cobrarec.artifact import load_artifact, open_live_catalog
from cobrarec.compaction import compact
from cobrarec.config import RunOptions
from cobrarec.errors import ArtifactError, MachineError
from cobrarec.serving.batcher import BusyError
from cobrarec.serving.server_settings import ServerSettings
from cobrarec.serving.service import MAX_CHANGES, ReadOnlyError, Service, load_to_read
from small_run import small_world

NEW = pa.table({"item_id": ["new"], "title": ["a new thing"]})


@pytest.fixture
def folder(tmp_path):
    return artifact_in(tmp_path)


@pytest.fixture
def service(folder):
    service = Service(folder, ServerSettings())
    yield service
    service.close()


def test_a_change_is_there_when_the_call_returns_and_after_a_restart(service, folder):
    assert service.put(NEW).catalog_version == 1
    assert service.remove(item_ids(1)[0]).catalog_version == 2
    assert "new" in service.recommender.catalog
    service.close()
    again = Service(folder, ServerSettings())
    assert again.recommender.info.catalog_version == 2
    again.close()


def test_a_server_that_may_not_write_says_why(folder):
    service = Service(folder, ServerSettings(read_only=True))
    with pytest.raises(ReadOnlyError, match="only reads; change items with `cobrarec items`"):
        service.put(NEW)
    writer = open_live_catalog(folder, "cobrarec items add")
    writer.put(NEW)
    writer.close()
    assert "new" not in service.recommender.catalog
    assert service.reload().is_new
    assert "new" in service.recommender.catalog
    assert not service.reload().is_new, "nothing new"
    service.close()


def test_a_ranker_without_a_network_is_served_for_reading(tmp_path):
    pipeline.fit(*small_world(), tmp_path / "run", {"ranker": "popularity"}, RunOptions())
    service = Service(tmp_path / "run" / "artifact", ServerSettings())
    with pytest.raises(ReadOnlyError, match="of the ranker popularity"):
        service.remove(item_ids(1)[0])
    assert service.card()["ranker"] == "popularity"
    service.close()


def test_a_folder_that_cannot_be_written_is_served_for_reading(folder, monkeypatch):
    monkeypatch.setattr("cobrarec.serving.service._is_writable", lambda folder: False)
    service = Service(folder, ServerSettings())
    with pytest.raises(ReadOnlyError, match="cannot write"):
        service.put(NEW)
    service.close()


def test_a_second_server_on_the_same_artifact_is_refused(service, folder):
    with pytest.raises(ArtifactError, match=r"is being changed by cobrarec serve \(process"):
        Service(folder, ServerSettings())


def test_another_artifact_in_the_same_place_is_taken_up(service, folder, tmp_path):
    service.put(NEW)
    assert not service.reload().is_new
    compact(folder, tmp_path / "next")
    before = service.recommender
    folder.rename(tmp_path / "old")
    (tmp_path / "next").rename(folder)
    assert service.reload().is_new
    now = service.recommender
    assert now.info.artifact != before.info.artifact
    assert now.info.catalog_version == 1
    assert list(now.recommend([item_ids(3)], 48)) == list(before.recommend([item_ids(3)], 48))
    assert service.put(pa.table({"item_id": ["newer"], "title": ["x"]})).catalog_version == 2
    writer = open_live_catalog(tmp_path / "old", "a test")
    writer.close()


def test_a_copy_in_the_place_of_the_served_artifact_is_taken_up_and_written_to(service, folder, tmp_path):
    folder.rename(tmp_path / "old")
    shutil.copytree(tmp_path / "old", folder)
    writer = open_live_catalog(folder, "cobrarec items add")
    writer.put(NEW)
    writer.close()
    reloaded = service.reload()
    assert (reloaded.is_new, reloaded.catalog_version) == (True, 1)
    assert service.remove("new").catalog_version == 2
    assert load_artifact(folder).info.catalog_version == 2
    assert load_artifact(tmp_path / "old").info.catalog_version == 0


def test_a_reload_mends_a_log_that_could_not_be_written(service):
    service._served.live._log._is_broken = True
    with pytest.raises(MachineError, match="open the artifact again"):
        service.put(NEW)
    assert not service.reload().is_new
    assert service.put(NEW).catalog_version == 1


@pytest.mark.parametrize("breaks", ["model.safetensors", "manifest.json", "changes/log", None])
def test_a_broken_artifact_is_refused_and_the_old_one_stays(service, folder, tmp_path, breaks):
    before = service.recommender
    folder.rename(tmp_path / "old")
    if breaks is not None:
        shutil.copytree(tmp_path / "old", folder)
        (folder / breaks).write_bytes(b"broken")
    with pytest.raises(ArtifactError):
        service.reload()
    assert service.recommender is before
    assert service.put(NEW).catalog_version == 1, "the old one still takes changes"


def test_the_card_tells_what_is_served(service):
    card = service.card()
    assert card["num_items"] == 48
    assert card["model"]["levels"] == 1
    assert card["read_only"] is None
    assert card["limits"]["max_k"] == 1000


def test_the_tree_of_ids_is_made_once_an_artifact(service):
    browser = service.id_browser(service.recommender)
    service.put(NEW)
    assert service.id_browser(service.recommender) is browser


def test_so_many_changes_may_wait_and_no_more(service, monkeypatch):
    begun, go = threading.Semaphore(0), threading.Event()
    put = service._served.live.put

    def slow(table):
        begun.release()
        assert go.wait(60)
        return put(table)

    monkeypatch.setattr(service._served.live, "put", slow)
    with ThreadPoolExecutor(MAX_CHANGES + 1) as pool:
        tables = [pa.table({"item_id": [f"new{i}"], "title": ["x"]}) for i in range(MAX_CHANGES)]
        waiting = [pool.submit(service.put, table) for table in tables]
        begun.acquire()
        while service._changes._value:
            time.sleep(0.01)
        for refused in (lambda: service.put(NEW), lambda: service.remove(item_ids(1)[0]), service.reload):
            with pytest.raises(BusyError, match="Too many changes"):
                refused()
        reload = pool.submit(service.reload, waits=True)
        go.set()
        assert not reload.result().is_new, "a signal waits for its turn"
        assert sorted(one.result().catalog_version for one in waiting) == list(range(1, MAX_CHANGES + 1))
    assert service.put(NEW).added == 1


def test_a_worker_asks_the_first_process_for_a_reload_once_what_lies_there_is_whole(folder):
    asked = []
    loaded = load_to_read(folder, "cpu")
    service = Service(folder, ServerSettings(read_only=True), loaded=loaded, ask_reload=lambda: asked.append(True))
    assert service.recommender is loaded.recommender
    assert not service.reload().is_new
    writer = open_live_catalog(folder, "cobrarec items add")
    writer.put(NEW)
    writer.close()
    reloaded = service.reload()
    assert (reloaded.is_new, reloaded.is_served, reloaded.catalog_version) == (True, False, 1)
    assert len(asked) == 2
    (folder / "codes.npy").write_bytes(b"broken")
    with pytest.raises(ArtifactError):
        service.reload()
    assert len(asked) == 2
    assert service.recommender is loaded.recommender
    service.close()
