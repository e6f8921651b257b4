import pytest

from cobrarec import pipeline
from cobrarec.cli.results import fetch_data, show_run
from cobrarec.cli.screen import Screen
from cobrarec.data import sources
from cobrarec.errors import RunError
from small_run import small_config, small_world


def test_a_run_without_artifact_is_told(tmp_path):
    pipeline.prepare(*small_world(), tmp_path / "run", small_config())
    with pytest.raises(RunError, match="no artifact yet"):
        show_run(tmp_path / "run", Screen())


def test_fetching_prints_where_the_tables_lie(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sources, "movielens_100k", lambda out, progress: (out / "items.parquet", out / "interactions.parquet"))
    fetch_data(tmp_path, Screen())
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "items.parquet"), str(tmp_path / "interactions.parquet")]
