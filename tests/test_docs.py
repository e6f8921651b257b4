"""The documents agree with the code: settings and options complete, links lead somewhere, marked snippets run."""

import dataclasses
import hashlib
import importlib.util
import json
import re
import runpy
import shlex
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest

from cobrarec.cli import main
from cobrarec.cli.commands import COMMANDS
from cobrarec.config import Config
from cobrarec.config_section import keys_of
from cobrarec.data.sources import predictable_world, write_source
from cobrarec.experiments import cold
from cobrarec.experiments.definition import load_definition, packaged_definitions
from cobrarec.experiments.records import Results, settings_on_validation
from cobrarec.experiments.summaries import unpublished
from small_experiment import record
from small_run import with_short_ids

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks/README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"(<!-- runs -->\n)?```(\w*)\n(.*?)```", re.DOTALL)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def runnable(page: Path) -> list[tuple[str, str]]:
    """(language, text) of each block that is marked to run."""
    return [(language, text) for marked, language, text in BLOCK.findall(page.read_text(encoding="utf-8")) if marked]


RUNNABLE = [name for name, page in zip(NAMES, PAGES, strict=True) if runnable(page)]


def anchors(page: Path) -> set[str]:
    """Anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def generator(name: str) -> Any:
    """The script of that name in the folder of the documents."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_settings_is_what_the_settings_say() -> None:
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert page == generator("generate_configuration").render(), "run `python docs/generate_configuration.py`"


def test_the_tables_and_pictures_of_the_reproduction_are_what_the_records_say() -> None:
    made = generator("generate_reproduction")
    page = (ROOT / "docs/reproduction.md").read_text(encoding="utf-8")
    assert page == made.render(page), "run `python docs/generate_reproduction.py`"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == made.render_readme(readme), "run `python docs/generate_reproduction.py`"
    added = (ROOT / "docs/cold.md").read_text(encoding="utf-8")
    assert added == made.render_cold_page(added), "run `python docs/generate_reproduction.py`"
    for path, picture in made.pictures().items():
        assert path.read_text(encoding="utf-8") == picture, "run `python docs/generate_reproduction.py`"


@pytest.mark.parametrize("name", packaged_definitions())
def test_the_published_settings_of_each_model_are_the_best_recorded_on_validation(name: str) -> None:
    assert unpublished(Results(ROOT / "docs/results", name).records(), load_definition(name)[1]) == []


def test_the_default_is_the_best_on_validation_of_the_rows_of_this_model() -> None:
    """As the README says, on every data set; `cobra-memory` is the row without any setting."""
    _, definition = load_definition("table2")
    assert definition.config_of("cobra-memory") == Config()
    values = settings_on_validation(Results(ROOT / "docs/results", "table2").records())
    for dataset in definition.datasets:
        reached = {
            model: np.mean(list(found[definition.hash_of(model)].values()))
            for (of, model), found in values.items()
            if of == dataset and model.startswith("cobra") and definition.hash_of(model) in found
        }
        assert len(reached) > 1
        assert max(reached, key=lambda model: reached[model]) == "cobra-memory"


def test_the_settings_of_every_record_are_kept_and_no_others() -> None:
    hashes = {one["config_hash"] for name in [*packaged_definitions(), cold.NAME] for one in Results(ROOT / "docs/results", name).records()}
    kept = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in (ROOT / "docs/results/settings").iterdir()}
    assert kept == {name: name for name in hashes}


def test_the_files_of_ranks_stay_small_enough_for_git() -> None:
    files = list((ROOT / "docs/results/ranks").glob("*.npz"))
    assert files
    assert max(file.stat().st_size for file in files) < 65_536


def test_records_fill_the_page_and_draw_the_picture(tmp_path: Path) -> None:
    made = generator("generate_reproduction")
    records = [record("cobra", 0.05), record("cobra", 0.06, seed=1), record("counts", 0.04)]
    (tmp_path / "table2.json").write_text(json.dumps(records), encoding="utf-8")
    page = made.render((ROOT / "docs/reproduction.md").read_text(encoding="utf-8"), tmp_path)
    assert made.render(page, tmp_path) == page
    assert "](results/table2.svg)" in page
    assert "| `cobra` | .0550 ± .0071 |" in page
    assert list(made.pictures(tmp_path)) == [tmp_path / "table2.svg"]
    readme = made.render_readme((ROOT / "README.md").read_text(encoding="utf-8"), tmp_path)
    assert "| `cobra` | **.1100** / **.0550** |" in readme
    assert "| COBRA as published | .0725 / .0456 |" in readme


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert [key for key in keys_of(Config) if f"`{key}`" not in page] == []
    assert not re.search(r"\|\s*\|$", page, re.MULTILINE), "a setting has no docstring"


@pytest.mark.parametrize("command", COMMANDS, ids=[command.name for command in COMMANDS])
def test_every_option_of_every_command_is_documented(command: Any) -> None:
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    part = page.split(f"\n## {command.name}\n")[1].split("\n## ")[0]
    hints = get_type_hints(command, include_extras=True)
    for field in dataclasses.fields(command):
        if "Suppress" in str(hints[field.name]) or field.name in ("resolved", "source", "action"):
            continue
        name = {"run_folder": "run", "from_artifact": "from"}.get(field.name, field.name).replace("_", "-")
        assert re.search(rf"--{name}(?![\w-])", part), f"--{name} of {command.name}"


@pytest.mark.parametrize("name", NAMES)
def test_links_between_pages_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{name} links to {link}"


def test_every_page_of_the_docs_is_reached_from_the_first_one() -> None:
    reached, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop().resolve()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = (link.partition("#")[0] for link in LINK.findall(page.read_text(encoding="utf-8")) if not link.startswith("https://"))
        todo += [page.parent / link for link in links if link]
    assert {page.resolve() for page in PAGES} <= reached


@pytest.mark.parametrize("name", NAMES)
def test_the_documents_name_only_files_that_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|docs|tests|examples|benchmarks)/[\w./-]+)`", text)
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_picture_is_whole_and_told_in_words() -> None:
    picture = ElementTree.parse(ROOT / "docs/images/cobra.svg").getroot()
    names = {element.tag.rpartition("}")[2] for element in picture.iter()}
    assert {"title", "desc"} <= names
    assert not names & {"script", "image", "foreignObject"}


@pytest.mark.parametrize("name", RUNNABLE)
def test_the_snippets_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    items, interactions = (with_short_ids(table) for table in predictable_world(num_users=60, num_items=48))
    write_source(items, interactions, tmp_path)
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    for language, text in runnable(ROOT / name):
        if language == "python":
            exec(compile(text, name, "exec"), namespace)
        else:
            assert language == "bash"
            for line in filter(None, text.splitlines()):
                program, *words = shlex.split(line, comments=True)
                assert program == "cobrarec"
                assert main(words) == 0, f"{line}\n{capsys.readouterr().err}"


def test_the_example_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["recommend_from_tables.py"])
    runpy.run_path(str(ROOT / "examples/recommend_from_tables.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("After ")
    assert [line.split()[0] for line in lines[1:6]] == ["1", "2", "3", "4", "5"]
    assert lines[-1].endswith("report.html")


BENCHMARKS = sorted((ROOT / "benchmarks").glob("[!_]*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.name)
def test_every_benchmark_explains_itself_and_is_named_in_its_page(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [str(path), "--help"])
    monkeypatch.syspath_prepend(str(path.parent))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    assert ended.value.code == 0
    assert f"python benchmarks/{path.name}" in capsys.readouterr().out
    assert f"`{path.name}" in (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
