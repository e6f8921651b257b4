"""Fills the tables of `reproduction.md` and draws their pictures from the records in `results`: `python docs/generate_reproduction.py`."""

import re
from pathlib import Path

from cobrarec.experiments.definition import load_definition, packaged_definitions
from cobrarec.experiments.picture import render_picture
from cobrarec.experiments.records import Results
from cobrarec.experiments.result_tables import render_tables

TARGET = Path(__file__).parent / "reproduction.md"
RESULTS = Path(__file__).parent / "results"
END = "<!-- end -->"


def render(page: str, folder: Path = RESULTS) -> str:
    """The page with what stands between `<!-- NAME -->` and `<!-- end -->` made anew from the records in `folder`."""
    for name in packaged_definitions():
        marked = re.compile(rf"<!-- {re.escape(name)} -->\n.*?{END}", re.DOTALL)
        assert len(marked.findall(page)) == 1, f"the page needs the markers of {name} once"
        filled = f"<!-- {name} -->\n{_content(name, folder)}\n{END}"
        page = marked.sub(lambda _, filled=filled: filled, page)
    return page


def pictures(folder: Path = RESULTS) -> dict[Path, str]:
    """File and content of the picture of every experiment that has records."""
    drawn = {}
    for name in packaged_definitions():
        picture = render_picture(Results(folder, name), load_definition(name)[1])
        if picture is not None:
            drawn[folder / f"{name}.svg"] = picture
    return drawn


def _content(name: str, folder: Path) -> str:
    tables = render_tables(Results(folder, name), load_definition(name)[1])
    if folder / f"{name}.svg" not in pictures(folder):
        return tables
    return f"![NDCG@10 on test of every model of {name}, a panel per data set](results/{name}.svg)\n\n{tables}"


if __name__ == "__main__":
    for path, picture in pictures().items():
        path.write_text(picture, encoding="utf-8")
    TARGET.write_text(render(TARGET.read_text(encoding="utf-8")), encoding="utf-8")
