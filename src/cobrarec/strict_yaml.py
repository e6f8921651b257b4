"""YAML whose keys stand once: of two the last would win in silence."""

from typing import Any

import yaml

_SafeLoader: Any = yaml.SafeLoader


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
    return yaml.load(text, _UniqueKeys)
