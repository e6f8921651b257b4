"""The page as a whole: what it holds, what it must never hold, and what it does when parts are missing."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from run_folders import HOSTILE, METRICS, write_run

from cobrarec.errors import RunError
from cobrarec.report import write_report
from cobrarec.report.run_files import PARTS

VOID = {"meta", "link"}


class Page(HTMLParser):
    """Tags, attributes and exact values of a page; complains where tags do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.values: list[float] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.values += [float(value or "nan") for name, value in attrs if tag == "data" and name == "value"]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.words.append(data)


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


def test_a_whole_run_fills_every_section(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "first"))
    ids = {value for _, name, value in page.attributes if name == "id"}
    assert {"results", "training", "examples", "semantic-ids", "ids-in-words", "data", "settings"} <= ids
    words = "".join(page.words)
    for expected in (
        "first",
        "split last-two",
        "learned from training and validation interactions",
        "22,363",
        "Transition counts",
        "Taken item",
        "P(ID)",
        "nearest in history",
        "SHA-256",
        "text_template",
    ):
        assert expected in words


def test_every_metric_shown_equals_metrics_json(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run"))
    text = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    for split in ("valid", "test"):
        for metrics in METRICS[split].values():
            for value in metrics.values():
                assert value in page.values
                assert f'<data value="{value!r}">{value:.4f}</data>' in text


def test_titles_cannot_become_tags(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", HOSTILE))
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "".join(page.words).count(HOSTILE) >= 4


def test_the_page_asks_nothing_of_the_outside(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run", "see https://example.org/x"))
    text = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    loading = [value for _, name, value in page.attributes if name in ("src", "href", "srcset", "action", "xlink:href", "data")]
    assert all(value.startswith(("#", "data:,")) for value in loading)
    assert not re.findall(r"url\(|@import|http-equiv=.refresh", text)
    assert not {"script", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert "default-src 'none'" in text


def test_links_of_the_page_lead_somewhere_and_ids_are_unique(tmp_path: Path) -> None:
    page = page_of(write_run(tmp_path / "run"))
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {value[1:] for _, name, value in page.attributes if name == "href" and value.startswith("#")}
    labels = {value for _, name, value in page.attributes if name == "aria-labelledby"}
    assert targets | labels <= set(ids)


def test_every_chart_is_described_in_words(tmp_path: Path) -> None:
    text = write_report(write_run(tmp_path / "run")).read_text(encoding="utf-8")
    charts = re.findall(r'<svg viewBox="0 0 440 250" role="img"><title>(.*?)</title>', text)
    assert len(charts) == text.count('role="img"') == 3
    assert any("sparse (next code) goes from 4 to 1.333" in chart for chart in charts)


@pytest.mark.parametrize("part", PARTS)
def test_an_absent_part_is_left_out_and_named(tmp_path: Path, part: str) -> None:
    folder = write_run(tmp_path / "run")
    (folder / PARTS[part]).unlink()
    words = "".join(page_of(folder).words)
    assert f"Left out, because the run does not hold them: {PARTS[part]}." in words


@pytest.mark.parametrize("part", PARTS)
def test_one_part_alone_makes_a_page(tmp_path: Path, part: str) -> None:
    folder = write_run(tmp_path / "run")
    for other in set(PARTS) - {part}:
        (folder / PARTS[other]).unlink()
    assert len(page_of(folder).tags) > 10


def test_the_page_is_replaced_whole(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "report.html").write_text("old", encoding="utf-8")
    assert write_report(folder) == folder / "report.html"
    assert "old" not in (folder / "report.html").read_text(encoding="utf-8")[:3]
    assert [path.name for path in folder.iterdir() if "report" in path.name] == ["report.html"]


def test_a_damaged_file_is_refused_and_the_old_page_stays(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "report.html").write_text("old", encoding="utf-8")
    (folder / "metrics.json").write_text('{"valid": ', encoding="utf-8")
    with pytest.raises(RunError, match="metrics.json is not readable JSON"):
        write_report(folder)
    assert (folder / "report.html").read_text(encoding="utf-8") == "old"


def test_half_a_surrogate_pair_in_a_title_is_no_hindrance(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    text = (folder / "examples.json").read_text(encoding="utf-8").replace("Plain title", "odd \\ud800 \\u0000 title")
    (folder / "examples.json").write_text(text, encoding="utf-8")
    assert "odd � � title" in write_report(folder).read_text(encoding="utf-8")
