import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from cobrarec.experiments.definition import load_definition
from cobrarec.experiments.picture import WIDTH, left_of, render_picture
from cobrarec.experiments.published import PUBLISHED
from cobrarec.experiments.records import Ranks, Results
from small_experiment import hash_in_table2, record

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def table2():
    return load_definition("table2")[1]


@pytest.fixture
def picture(tmp_path, table2):
    results = Results(tmp_path, "table2")
    for one in (record("cobra", 0.05), record("cobra", 0.06, seed=1), record("counts", 0.04), record("cobra", 0.1, dataset="steam100k")):
        results.add(one, Ranks(np.ones(40, dtype=np.uint8), "users", "targets", one["config_hash"]), "settings")
    return ElementTree.fromstring(render_picture(results, table2))


def named(picture, kind, name):
    return [element for element in picture.iter(f"{SVG}{kind}") if element.get("class") == name]


def test_the_picture_is_whole_and_told_in_words(picture):
    kinds = {element.tag.removeprefix(SVG) for element in picture.iter()}
    assert {"title", "desc", "style"} <= kinds
    assert not kinds & {"script", "image", "foreignObject"}
    said = picture.find(f"{SVG}desc").text
    assert "beauty: cobra .0550 ± .0071, counts .0400" in said
    assert "steam100k: cobra .1000" in said


def test_each_model_has_a_bar_as_long_as_its_mean_and_a_line_where_there_are_seeds(picture):
    bars = named(picture, "rect", "mean")
    assert len(bars) == 3
    widths = [float(bar.get("width")) for bar in bars]
    assert widths[0] / widths[1] == pytest.approx(0.055 / 0.04, rel=0.01)
    (line,) = named(picture, "line", "spread")
    middle = (float(line.get("x1")) + float(line.get("x2"))) / 2
    assert middle == pytest.approx(left_of([max((f"{paper.name}, published" for paper in PUBLISHED), key=len)]) + widths[0], abs=0.2)


def test_published_figures_are_rings_where_there_are_any(picture):
    assert len(named(picture, "circle", "published")) == len(PUBLISHED)


def test_an_experiment_that_is_no_table_of_a_paper_has_no_rings(tmp_path, table2):
    results = Results(tmp_path, "table2")
    results.add(record("cobra", 0.05), Ranks(np.array([1], np.uint8), "users", "targets", hash_in_table2("cobra")), "settings")
    plain = table2.model_copy(update={"beside_papers": False, "compared": ()})
    assert "published" not in render_picture(results, plain).partition("</style>")[2]


def test_what_is_no_table_of_a_paper_shows_differences_with_their_intervals(tmp_path, table2):
    """`cobra` is right for all 40 users, `counts` for every second one, so that its NDCG@10 is .5 less."""
    results = Results(tmp_path, "table2")
    hits = np.ones(40, np.uint8)
    for one, ranks in ((record("cobra", 0.1), hits), (record("counts", 0.1), hits * (np.arange(40) % 2)), (record("content", 0.1), hits)):
        results.add(one, Ranks(ranks.astype(np.uint8), "users", "targets", one["config_hash"]), "settings")
    picture = ElementTree.fromstring(render_picture(results, table2.model_copy(update={"beside_papers": False, "compared": ("cobra",)})))
    counts, content = named(picture, "circle", "mean")
    (interval,) = named(picture, "line", "spread")
    (zero,) = named(picture, "line", "zero")
    assert float(interval.get("x1")) < float(counts.get("cx")) < float(interval.get("x2")) < float(zero.get("x1"))
    assert content.get("cx") == zero.get("x1")
    assert "beauty: counts −.5000 [−." in picture.find(f"{SVG}desc").text
    assert not named(picture, "rect", "mean")


def test_everything_lies_inside_the_view_box(picture):
    height = float(picture.get("viewBox").split()[3])
    for element in picture.iter():
        for name, limit in (("x", WIDTH), ("x1", WIDTH), ("x2", WIDTH), ("cx", WIDTH), ("y", height), ("y2", height)):
            assert 0 <= float(element.get(name, 0)) <= limit
    names = [element for element in picture.iter(f"{SVG}text") if element.get("text-anchor") == "end"]
    assert "TIGER, published" in {element.text for element in names}
    for element in names:
        assert float(element.get("x")) - 7 * len(element.text) >= 0


def test_without_records_there_is_no_picture(tmp_path, table2):
    assert render_picture(Results(tmp_path, "table2"), table2) is None
