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
