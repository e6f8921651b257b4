import json

import pytest
from rich.console import Console

from cobrarec.cli import screen as screen_module
from cobrarec.cli.screen import Screen


def test_results_go_to_stdout_and_the_rest_to_stderr(capsys):
    with Screen() as screen:
        screen.message("working [CLS] hard")
        screen.metrics("valid", {"cobra": {"recall@10": 0.12345}, "counts": {"recall@10": 0.1, "mrr@10": 0.5}})
        screen.lines("three lines", ["one [bold]"])
        screen.json({"a": ["é"]})
    captured = capsys.readouterr()
    assert captured.err == "working [CLS] hard\n"
    for part in ("cobra", "0.1235", "mrr@10", "one [bold]", '"é"'):
        assert part in captured.out


def test_json_is_json(capsys):
    Screen().json([{"item_id": 7, "why": None}])
    assert json.loads(capsys.readouterr().out) == [{"item_id": 7, "why": None}]


def test_tracking_yields_everything(capsys):
    with Screen() as screen:
        assert list(screen.track("abc", "letters")) == ["a", "b", "c"]
        assert list(screen.track(iter("ab"), "letters", 2)) == ["a", "b"]
        assert list(screen.track(iter("ab"), "letters")) == ["a", "b"]


def test_without_a_terminal_a_line_comes_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(screen_module, "SECONDS_BETWEEN_LINES", 0.0)
    with Screen() as screen:
        screen.update("epoch 1", 1, 4, "loss 3.2")
        screen.update("epoch 1", 4, 4)
        screen.update("counting", 7, 0)
    assert capsys.readouterr().err.splitlines() == ["epoch 1: 25 % loss 3.2", "epoch 1: 100 %", "counting: 7"]


@pytest.mark.parametrize("total", [3, 0])
def test_on_a_terminal_bars_come_and_go(total):
    import io

    with_terminal = Screen()
    with_terminal.err = Console(file=io.StringIO(), force_terminal=True, width=100)
    with with_terminal as screen:
        for done in range(4):
            screen.update("epoch 1", done, total, "loss 3.2")
        screen.message("between")
        screen.update("epoch 1", 1, 3)
    assert "between" in with_terminal.err.file.getvalue()


def test_long_lines_are_not_broken(capsys):
    Screen().line("x" * 500)
    assert capsys.readouterr().out == "x" * 500 + "\n"
