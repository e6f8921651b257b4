import threading

from cobrarec.experiments.locks import locked


def test_one_at_a_time_holds_a_lock(tmp_path):
    """The second gets it when the first lets go, and not before."""
    path, got = tmp_path / "new" / "run.lock", threading.Event()

    def second() -> None:
        with locked(path):
            got.set()

    waiting = threading.Thread(target=second)
    with locked(path):
        waiting.start()
        assert not got.wait(0.3)
    assert got.wait(10)
    waiting.join()


def test_a_folder_is_locked_without_a_file_in_it(tmp_path):
    with locked(tmp_path):
        assert list(tmp_path.iterdir()) == []
