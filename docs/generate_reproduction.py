"""Fills the tables of `reproduction.md`, `cold.md` and `README.md` and draws the pictures, from the records in `results`:
`python docs/generate_reproduction.py`."""

import re
from pathlib import Path

from cobrarec.experiments import cold
from cobrarec.experiments.cold_tables import render_cold
from cobrarec.experiments.definition import load_definition, packaged_definitions
from cobrarec.experiments.picture import render_picture
from cobrarec.experiments.records import Results
from cobrarec.experiments.result_tables import render_overview, render_tables

TARGET = Path(__file__).parent / "reproduction.md"
COLD = Path(__file__).parent / "cold.md"
README = Path(__file__).parents[1] / "README.md"
RESULTS = Path(__file__).parent / "results"
END = "<!-- end -->"


def render(page: str, folder: Path = RESULTS) -> str:
    """The page with what stands between `<!-- NAME -->` and `<!-- end -->` made anew from the records in `folder`."""
    drawn = pictures(folder)
    for name in packaged_definitions():
        page = _filled(page, name, _content(name, folder, with_picture=folder / f"{name}.svg" in drawn))
    return page


def render_readme(page: str, folder: Path = RESULTS) -> str:
    """The same for the overview of `table2` in the README."""
    return _filled(page, "table2", render_overview(Results(folder, "table2"), load_definition("table2")[1]))


def render_cold_page(page: str, folder: Path = RESULTS) -> str:
    """The same for the tables of the page on items added after the training."""
    return _filled(page, cold.NAME, render_cold(Results(folder, cold.NAME)))


def pictures(folder: Path = RESULTS) -> dict[Path, str]:
    """File and content of the picture of every experiment that has records."""
    drawn = {}
    for name in packaged_definitions():
        picture = render_picture(Results(folder, name), load_definition(name)[1])
        if picture is not None:
            drawn[folder / f"{name}.svg"] = picture
    return drawn


def _filled(page: str, name: str, content: str) -> str:
    marked = re.compile(rf"<!-- {re.escape(name)} -->\n.*?{END}", re.DOTALL)
    assert len(marked.findall(page)) == 1, f"the page needs the markers of {name} once"
    return marked.sub(lambda _: f"<!-- {name} -->\n{content}\n{END}", page)


def _content(name: str, folder: Path, *, with_picture: bool) -> str:
    tables = render_tables(Results(folder, name), load_definition(name)[1])
    if not with_picture:
        return tables
    return f"![NDCG@10 on test of the rows of {name}, a panel per data set](results/{name}.svg)\n\n{tables}"


if __name__ == "__main__":
    for path, picture in pictures().items():
        path.write_text(picture, encoding="utf-8")
    for page, rendered in ((TARGET, render), (COLD, render_cold_page), (README, render_readme)):
        page.write_text(rendered(page.read_text(encoding="utf-8")), encoding="utf-8")
