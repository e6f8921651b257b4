"""Imports point one way: each name may import from its own line and those above it.

errors, config, progress | data | semantic_ids | model | retrieval | training, evaluation, baselines, artifact, report | pipeline |
experiments, serving, scale | cli
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cobrarec

PACKAGE = Path(cobrarec.__file__).parent
ORDER = (
    {
        "errors",
        "config",
        "config_baselines",
        "config_checks",
        "config_errors",
        "config_run_options",
        "config_section",
        "strict_yaml",
        "progress",
    },
    {"data"},
    {"semantic_ids"},
    {"model"},
    {"retrieval"},
    {"training", "evaluation", "baselines", "artifact", "artifact_manifest", "report"},
    {
        "pipeline",
        "compaction",
        "continuation",
        "encoder_trial",
        "list_folder",
        "prepared",
        "run_baselines",
        "run_folder",
        "run_steps",
        "run_results",
    },
    {"experiments", "serving", "scale"},
    {"cli"},
    {"__main__"},
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
HEAVY = ("torch", "transformers", "sklearn", "scipy", "duckdb", "matplotlib")


def imported_by(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names += [node.module or ""] if (node.module or "").count(".") else [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return names


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    here = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if here == "__init__":
        return
    for name in imported_by(path):
        if name.startswith("cobrarec.") and name.split(".")[1] in RANK:
            assert RANK[name.split(".")[1]] <= RANK[here], f"{path} imports {name}"
        assert not (here == "data" and name.split(".")[0] == "torch"), f"{path} imports torch"
        assert not (here == "retrieval" and name.startswith("cobrarec.training")), f"{path} imports training"


def test_every_module_has_its_place_in_the_order():
    tops = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert tops <= set(RANK)


def modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n"))


def test_importing_the_package_loads_nothing_heavy():
    modules = modules_after("import cobrarec; dir(cobrarec)")
    assert not modules & {*HEAVY, "numpy", "pydantic"}


@pytest.mark.parametrize("command", ["", "fit", "recommend", "train"])
def test_help_loads_nothing_heavy(command):
    words = [word for word in (command, "--help") if word]
    modules = modules_after(f"from cobrarec.cli import main\ntry: main({words!r})\nexcept SystemExit: pass")
    assert "tyro" in modules
    assert not modules & {*HEAVY, "numpy", "pyarrow"}


def processor_seconds(words):
    """Least of a few runs, in seconds of processor time, which other work on the machine stretches little."""
    seconds = []
    for _ in range(4):
        before = os.times()
        subprocess.run([sys.executable, "-c", words], capture_output=True, check=False)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(seconds)


@pytest.mark.parametrize(
    ("words", "beside", "factor"),
    [("import cobrarec", "pass", 5), ("from cobrarec.cli import main; main(['--help'])", "import tyro; from pydantic import BaseModel", 4)],
)
def test_start_up_is_quick_beside_what_it_cannot_do_without(words, beside, factor):
    assert processor_seconds(words) <= factor * processor_seconds(beside)


def test_public_names_are_sorted_and_resolve():
    assert cobrarec.__all__ == sorted(cobrarec.__all__)
    assert set(cobrarec.__all__) <= set(dir(cobrarec))
    for name in cobrarec.__all__:
        assert getattr(cobrarec, name) is not None


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        _ = cobrarec.fitt
