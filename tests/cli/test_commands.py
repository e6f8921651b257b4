from cobrarec.cli.commands import COMMANDS


def test_every_command_has_a_name_of_its_own_and_an_example():
    names = [kind.name for kind in COMMANDS]
    assert len(set(names)) == len(names)
    for kind in COMMANDS:
        assert f"cobrarec {kind.name}" in kind.__doc__
