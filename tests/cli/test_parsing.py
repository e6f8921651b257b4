import pytest

from cobrarec.cli.commands import COMMANDS
from cobrarec.cli.parsing import parse
from cobrarec.cli.run_commands import list_lengths
from cobrarec.errors import ConfigError


def test_every_command_of_the_documentation_is_there():
    names = [
        "fit",
        "prepare",
        "semantic-ids",
        "train",
        "evaluate",
        "recommend",
        "items",
        "serve",
        "data",
        "report",
        "verify",
        "demo",
        "experiment",
    ]
    assert [kind.name for kind in COMMANDS] == names


@pytest.mark.parametrize(
    "words",
    [
        "fit --items I --interactions X --out RUN --config demo --seed 3 --split last-two --test --resume --time-limit 5 --device cpu",
        "fit --items I --interactions X --out RUN --model counts --counts.window 3",
        "prepare --items I --interactions X --out RUN",
        "semantic-ids --run RUN --allow-collapse",
        "train --run RUN --resume",
        "evaluate --run RUN --split test --k 5,10 --json",
        "recommend --artifact RUN/artifact --histories H.parquet --k 10 --out R.parquet",
        "recommend --artifact RUN/artifact --item A --item B --explain --json",
        "recommend --artifact A --item 1 --exclude 2 --exclude 3 --allow f.csv --unknown error --num-beams 5 --tau .9 --psi 16",
        "recommend --artifact A --item 1 --new-item-level -1",
        "data movielens-100k --out DIR",
        "report --run RUN",
        "verify --artifact A",
        "items remove --artifact A --item B001 --item B002",
        "demo",
        "experiment table2 --data DIR --out RUNS --results R --datasets beauty,toys --models cobra --seeds 0,1 --scale 0.1 --estimate",
        "experiment cascade --protocols masked,unmasked --device cpu --num-threads 1",
    ],
)
def test_the_documented_lines_parse(words):
    command = parse(words.split())
    assert command.name == words.split()[0]


def test_repeated_options_are_collected():
    command = parse(["recommend", "--artifact", "A", "--item", "1", "--item", "2", "--exclude", "3"])
    assert command.item == ("1", "2")
    assert command.exclude == ("3",)
    assert command.allow == ()


@pytest.mark.parametrize("kind", COMMANDS)
def test_the_help_of_every_command_teaches_by_example(kind, capsys):
    with pytest.raises(SystemExit) as exit_:
        parse([kind.name, "--help"])
    assert exit_.value.code == 0
    assert f"cobrarec {kind.name}" in capsys.readouterr().out.split("For example", 1)[1]


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_the_first_help_lists_all_commands(words, capsys):
    with pytest.raises(SystemExit) as exit_:
        parse(words)
    assert exit_.value.code == 0
    help_text = capsys.readouterr().out
    for kind in COMMANDS:
        assert kind.name in help_text


@pytest.mark.parametrize(
    "words", [["fti"], ["fit"], ["evaluate", "--run", "R", "--split", "train"], ["recommend", "--artifact", "A", "--k", "x"]]
)
def test_what_cannot_be_parsed_is_told_on_stderr_with_code_2(words, capsys):
    with pytest.raises(SystemExit) as exit_:
        parse(words)
    assert exit_.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err


def test_list_lengths_are_sorted_and_distinct():
    assert list_lengths("10,5,5") == (5, 10)


@pytest.mark.parametrize("text", ["", "5,", "0", "-1,5", "ten"])
def test_other_list_lengths_are_refused(text):
    with pytest.raises(ConfigError, match="such as 5,10"):
        list_lengths(text)
