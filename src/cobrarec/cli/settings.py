"""From command-line words to a checked configuration: `--model NAME` or `--config FILE|NAME`, then `--model.dim 64` on top.

tyro parses into loose mirrors of the pydantic sections (types and help, no ranges); the sections themselves then check the
values, so that a value out of range is refused in the same sentence as one in a YAML file.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from pydantic import BaseModel, ValidationError

from cobrarec.config import Config, RunOptions, load_config, packaged_configs, parse_config
from cobrarec.config_errors import explain
from cobrarec.errors import ConfigError, RunError

Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
"""An option without a value."""
Device = Literal["auto", "cpu", "cuda"]
"""As in `RunOptions.device`."""


def settings_type(default: BaseModel) -> type:
    """A dataclass with the fields of `default`'s section, its values as defaults and its documentation as help."""
    fields: list[Any] = []
    for name, field in type(default).model_fields.items():
        value = getattr(default, name)
        if isinstance(value, BaseModel):
            mirror = settings_type(value)
            fields.append((name, mirror, dataclasses.field(default_factory=mirror)))
        else:
            kind = Annotated[field.annotation, tyro.conf.arg(help=field.description)]  # type: ignore[name-defined]
            fields.append((name, kind, dataclasses.field(default=value)))
    mirror = dataclasses.make_dataclass(type(default).__name__, fields, frozen=True)
    mirror.__doc__ = type(default).__doc__
    return mirror


def config_from_settings(settings: Any, source: str) -> Config:
    """The checked configuration of a parsed mirror; raises ConfigError as a YAML file would."""
    return parse_config(dataclasses.asdict(settings), source)


def run_options(values: Mapping[str, Any]) -> RunOptions:
    """The checked run options; raises ConfigError in the words of the command line."""
    try:
        return RunOptions.model_validate(dict(values))
    except ValidationError as error:
        told = (explain({**one, "loc": ("--" + str(one["loc"][0]).replace("_", "-"),)}, "the command line", ()) for one in error.errors())
        raise ConfigError(" ".join(told)) from None


def option_value(arguments: Sequence[str], option: str) -> str | None:
    """The value that follows `option` (or `option=value`), read before the real parsing because defaults depend on it."""
    for place, word in enumerate(arguments):
        if word == option and place + 1 < len(arguments):
            return arguments[place + 1]
        if word.startswith(option + "="):
            return word.split("=", 1)[1]
    return None


def model_config(name: str) -> Config:
    """The packaged configuration of that name; `cobra` is that of the defaults. Raises ConfigError for any other word."""
    packaged = packaged_configs()
    if name != "cobra" and name not in packaged:
        raise ConfigError(f"--model is {name}, expected one of: {', '.join(['cobra', *packaged])}. A file of settings goes with --config.")
    return Config() if name == "cobra" else load_config(name)


def base_config(arguments: Sequence[str]) -> Config:
    """What the overrides lie upon: `--model` or `--config`, else the configuration of the `--like` run, else the defaults."""
    model, named = option_value(arguments, "--model"), option_value(arguments, "--config")
    if model is not None and named is not None:
        raise ConfigError(f"--model {model} and --config {named} each name a whole configuration; give one of the two.")
    if model is not None:
        return model_config(model)
    if named is not None:
        return load_config(named)
    origin = option_value(arguments, "--from")
    if origin is not None and (Path(origin) / "config.yaml").is_file():
        return load_config(Path(origin) / "config.yaml")
    like = option_value(arguments, "--like")
    if like is None:
        return Config()
    path = Path(like) / "config.yaml"
    if not path.is_file():
        raise RunError(f"--like {like} is no run (no config.yaml in it); give the folder of one that was trained to its end.")
    return load_config(path)
