import pytest

from cobrarec.cli import serve as module
from cobrarec.cli.parsing import parse
from cobrarec.cli.screen import Screen
from cobrarec.errors import ConfigError, MissingExtraError


def test_the_options_make_the_plan(monkeypatch, tmp_path):
    seen = {}
    monkeypatch.setattr("cobrarec.serving.server.serve", lambda plan, workers, told: seen.update(plan=plan, workers=workers))
    (tmp_path / "token").write_text("0123456789abcdef\n")
    words = "serve --artifact A --host 0.0.0.0 --port 9 --workers 3 --time-limit 2 --max-waiting 7 --read-only"
    parse([*words.split(), "--token-file", str(tmp_path / "token")]).run(Screen())
    plan = seen["plan"]
    assert (plan.address.host, plan.address.port, seen["workers"]) == ("0.0.0.0", 9, 3)
    assert (plan.settings.token, plan.settings.time_limit, plan.settings.max_waiting, plan.settings.read_only) == (
        "0123456789abcdef",
        2.0,
        7,
        True,
    )


@pytest.mark.parametrize("words", ["--workers 0", "--time-limit -1", "--max-waiting 0"])
def test_numbers_out_of_range_are_refused(words):
    with pytest.raises(ConfigError, match=words.split()[0]):
        parse(f"serve --artifact A {words}".split()).run(None)


def test_a_missing_extra_is_named_with_its_way_out(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'cobrarec\[serve\]'"):
        parse(["serve", "--artifact", "A"]).run(None)


def planned(monkeypatch, words, has_gradio=True):
    """The plan that the options make, and what was told on the way."""
    seen, lines = {}, []
    monkeypatch.setattr("cobrarec.serving.server.serve", lambda plan, workers, told: seen.update(plan=plan))
    found = module.find_spec
    monkeypatch.setattr(module, "find_spec", lambda name: (has_gradio or None) if name == "gradio" else found(name))
    screen = Screen()
    monkeypatch.setattr(screen, "message", lines.append)
    parse(f"serve --artifact A {words}".split()).run(screen)
    return seen["plan"], lines


def test_the_page_is_there_where_gradio_is_unless_it_is_left_away(monkeypatch):
    plan, lines = planned(monkeypatch, "--interactions t.parquet")
    assert (plan.page, str(plan.interactions), lines) == (True, "t.parquet", ["Stopped."])
    assert not planned(monkeypatch, "--no-page")[0].page


def test_without_gradio_the_server_serves_and_says_once_how_to_get_the_page(monkeypatch):
    plan, lines = planned(monkeypatch, "", has_gradio=False)
    assert not plan.page
    assert lines == ["There is no page at /ui, which needs gradio: pip install 'cobrarec[ui]'", "Stopped."]


def test_users_for_a_page_that_there_is_not_are_refused(monkeypatch):
    with pytest.raises(ConfigError, match="--no-page leaves it away"):
        planned(monkeypatch, "--no-page --interactions t.parquet")
    with pytest.raises(MissingExtraError, match=r"pip install 'cobrarec\[ui\]'"):
        planned(monkeypatch, "--interactions t.parquet", has_gradio=False)


def test_several_workers_and_a_gpu_do_not_go_together():
    with pytest.raises(ConfigError, match="a GPU does not survive"):
        parse(["serve", "--artifact", "A", "--workers", "2", "--device", "cuda"]).run(None)
