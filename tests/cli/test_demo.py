import pytest

from cobrarec import pipeline
from cobrarec.cli import demo, main
from cobrarec.errors import DataError, RunError
from cobrarec.run_folder import RunFolder
from small_run import small_config, small_world


def no_network(folder, **keywords):
    raise DataError("pip could not fetch it")


@pytest.fixture
def small_demo(monkeypatch):
    """The demo without a network, over a small world and small parts."""
    monkeypatch.setattr(demo, "movielens_100k", no_network)
    monkeypatch.setattr(demo, "predictable_world", lambda **_: small_world())
    monkeypatch.setattr(demo, "load_config", lambda name: small_config())


def test_the_demo_shows_every_part_and_falls_back_without_a_network(small_demo, tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    captured = capsys.readouterr()
    for part in ("synthetic world", "Audit of the tables", "Health card", "Epoch 1"):
        assert part in captured.err
    for part in ("test (", "popularity", "counts", "User ", "then took", "why", "negative", "artifact", "report.html", "serve --artifact"):
        assert part in captured.out
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0


def test_a_run_of_the_users_own_is_never_replaced(small_demo, tmp_path):
    pipeline.prepare(*small_world(), tmp_path / "mine", small_config(model={"dim": 8}))
    with pytest.raises(RunError, match="no demo"):
        demo.clear_earlier_demo(RunFolder(tmp_path / "mine"))
    assert RunFolder(tmp_path / "mine").identity
