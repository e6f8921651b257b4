"""The grammar of the command line: which command, with which options, over which settings."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, Protocol, runtime_checkable

import tyro

from cobrarec.cli.commands import COMMANDS
from cobrarec.cli.run_commands import Fit, Prepare
from cobrarec.cli.settings import base_config, config_from_settings, settings_type
from cobrarec.config import Config

DESCRIPTION = """COBRA: recommendation that generates an item's semantic ID, then its dense vector.

Two tables in, ranked items out:

  cobrarec demo
  cobrarec fit --items items.parquet --interactions interactions.parquet --out runs/first
  cobrarec recommend --artifact runs/first/artifact --item B001 --item B007 --k 10

`cobrarec COMMAND --help` tells the rest. --debug shows the traceback of an error, --version the version."""


@runtime_checkable
class Command(Protocol):
    """One command, parsed."""

    def run(self, screen: Any) -> None:
        """Do it and print what comes out."""
        ...


def parse(words: Sequence[str]) -> Command:
    """The command that `words` ask for. Exits with code 2 and a message where they cannot be parsed; raises ConfigError for settings."""
    name = next((word for word in words if not word.startswith("-")), "")
    with_settings = {kind.name: kind for kind in (Fit, Prepare)}
    kinds: dict[str, Any] = {kind.name: kind for kind in COMMANDS}
    if name in with_settings:
        kinds[name] = _with_settings(with_settings[name], base_config(words))
    union: Any = None
    for kind_name, kind in kinds.items():
        description = None if name in kinds else (kind.__doc__ or "").split("\n")[0]
        member: Any = Annotated[kind, tyro.conf.subcommand(kind_name, description=description)]
        union = member if union is None else union | member
    command = tyro.cli(union, prog="cobrarec", description=DESCRIPTION, args=list(words) or ["--help"])
    if name in with_settings:
        command = dataclasses.replace(command, resolved=config_from_settings(command.overrides, "the command line"))
    return command


def _with_settings(kind: type, default: Config) -> Any:
    mirror = settings_type(default)
    overrides = ("overrides", Annotated[mirror, tyro.conf.arg(name="")], dataclasses.field(default_factory=mirror))
    widened = dataclasses.make_dataclass(kind.__name__, [overrides], bases=(kind,), kw_only=True, frozen=True)
    widened.__doc__ = kind.__doc__
    return widened
