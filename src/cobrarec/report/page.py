"""Puts the report's page together and writes it: one file, no script, no outside request."""

from pathlib import Path

from cobrarec.artifact_manifest import write_text
from cobrarec.report import sections
from cobrarec.report.bucket_words import bucket_words
from cobrarec.report.markup import Markup, join, tag, user_text
from cobrarec.report.run_files import RunFiles, read_run
from cobrarec.report.style import EMBLEM, STYLE

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""Content security policy: even a mistake of ours could not load anything or run a script."""


def write_report(run_folder: Path) -> Path:
    """Write `report.html` into `run_folder` from the files of the run there and return its path.

    Parts whose files are absent are left out and named at the foot of the page. The file is written beside and renamed.

    Raises:
        RunError: the folder is not a run's, or one of its files is damaged.
    """
    target = run_folder / "report.html"
    write_text(target, render_report(read_run(run_folder)))
    return target


def render_report(run: RunFiles) -> str:
    """Return the page of a run as HTML."""
    parts = {
        "Results": sections.results(run),
        "Training": sections.training(run),
        "Examples": sections.examples(run),
        "Semantic IDs": sections.health_card(run),
        "IDs in words": bucket_words(run),
        "Data": sections.audit(run),
        "Settings and files": sections.configuration(run),
    }
    links = [tag("a", name, href=f"#{name.split(' and ')[0].lower().replace(' ', '-')}") for name, part in parts.items() if part]
    header = tag(
        "header",
        tag("div", EMBLEM, tag("p", "cobrarec run report", class_="kicker"), class_="brand"),
        tag("h1", user_text(run.name)),
        tag("p", sections.facts_line(run), class_="meta"),
        sections.headline(run),
    )
    body = tag(
        "body",
        tag("a", "Skip to the content", href="#content", class_="skip"),
        header,
        tag("nav", *links, aria_label="Sections"),
        tag("main", *parts.values(), id="content"),
        _foot(run),
    )
    return "<!doctype html>\n" + tag("html", _head(run), body, lang="en") + "\n"


def _head(run: RunFiles) -> Markup:
    return tag(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        Markup('<link rel="icon" href="data:,">'),
        tag("title", f"{run.name} · cobrarec report"),
        tag("style", Markup(STYLE)),
    )


def _foot(run: RunFiles) -> Markup:
    absent = join(*[join(", " if place else "", tag("code", path)) for place, path in enumerate(run.missing)])
    note = tag("p", "Left out, because the run does not hold them: ", absent, ".") if run.missing else None
    return tag("footer", note, tag("p", "Every figure carries its exact value; point at a dot or a bar of a chart to read it."))
