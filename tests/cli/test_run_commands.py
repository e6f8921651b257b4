import pytest

from cobrarec.cli.parsing import parse
from cobrarec.errors import ConfigError, UserError


def test_fit_hands_on_its_options(monkeypatch):
    from cobrarec import pipeline

    seen = {}

    def fake(items, interactions, out, config, options, progress):
        seen.update(items=items, config=config, options=options)
        raise UserError("enough")

    monkeypatch.setattr(pipeline, "fit", fake)
    words = "fit --items I --interactions X --out R --seed 4 --test --time-limit 2.5 --device cpu --num-threads 1"
    command = parse(words.split())
    with pytest.raises(UserError):
        command.run(None)
    options = seen["options"]
    assert (options.seed, options.test, options.time_limit) == (4, True, 2.5)
    assert (options.device, options.num_threads, options.resume) == ("cpu", 1, False)


@pytest.mark.parametrize("words", ["--seed -1", "--time-limit 0", "--num-threads 0"])
def test_run_options_out_of_range_are_the_users_fault(words):
    with pytest.raises(ConfigError, match=words.split()[0]):
        parse(f"fit --items I --interactions X --out R {words}".split()).run(None)
