"""YAML whose keys stand once: of two the last would win in silence."""

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from cobrarec.errors import ConfigError

_SafeLoader: Any = yaml.SafeLoader  # that of libyaml, ten times as fast, ends the process where lists are nested deep enough


class _UniqueKeys(_SafeLoader):  # type: ignore[misc]
    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """The mapping, if no key comes twice."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        double = next((key for place, key in enumerate(keys) if key in keys[:place]), None)
        if double is not None:
            raise yaml.constructor.ConstructorError(None, None, f"the key {double!r} stands twice", node.start_mark)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def load_yaml(text: str) -> Any:
    """What the text says; raises yaml.YAMLError where it is no YAML or a key stands twice."""
    return copy.deepcopy(_parsed(text))


@lru_cache(maxsize=8)
def _parsed(text: str) -> Any:
    """Parsed once: the slow loader is asked for the configuration of an artifact several times each time one is opened."""
    return yaml.load(text, _UniqueKeys)


def read_yaml(path: Path, missing: str) -> Any:
    """What the file says.

    Args:
        path: the file.
        missing: the sentence for the user where there is none.

    Raises:
        ConfigError: there is no such file, or it is no YAML whose keys stand once.
    """
    try:
        return load_yaml(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise ConfigError(missing) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not readable YAML: {' '.join(str(error).split())}") from None
