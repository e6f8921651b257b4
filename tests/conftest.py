"""Shapes in signatures are checked while the tests run: importing cobrarec goes through beartype's hook."""

from jaxtyping import install_import_hook

install_import_hook("cobrarec", "beartype.beartype")
