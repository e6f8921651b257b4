"""The card of what is served, and what the run beside the artifact tells of it: results, curves, health of the semantic IDs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cobrarec.errors import RunError
from cobrarec.report.markup import Markup, join, number, tag, user_text
from cobrarec.report.run_files import PARTS, read_run
from cobrarec.report.sections import headline, health_card, results, section, training, wide

FIGURES = {
    "num_items": "Items that lists may hold",
    "catalog_version": "Changes of items since the fit",
    "ranker": "Ranker",
    "split": "Split",
    "version": "cobrarec",
}
MODEL_FIGURES = {
    "parameters": "Parameters",
    "dim": "Dimensions",
    "levels": "Levels of an ID",
    "codes_per_level": "Codes per level",
    "epochs": "Epochs",
    "seed": "Seed",
    "trained_on": "Learned from",
}


def info_card(card: Mapping[str, Any]) -> Markup:
    """The card of `/info` for reading."""
    model = card.get("model") or {}
    facts = [_fact(name, card.get(key)) for key, name in FIGURES.items()]
    facts += [_fact(name, model[key]) for key, name in MODEL_FIGURES.items() if model.get(key) is not None]
    facts.append(_fact("Artifact", str(card.get("artifact", ""))[:12]))
    refused = card.get("read_only")
    writes = f"Items cannot be changed here: {refused}." if refused else "Items can be added and removed while this runs."
    return section(
        "served",
        "What is served",
        tag("dl", *facts, class_="facts"),
        tag("p", "Score = ", tag("code", str(card.get("score", "")))),
        tag("p", writes),
        _folded("Settings of retrieval", card.get("settings") or {}),
        _folded("Limits of this server", card.get("limits") or {}),
    )


def run_card(artifact: Path) -> Markup:
    """Results, training curves and the health card of the run in whose folder the artifact lies, or one sentence on their absence."""
    folder = artifact.resolve().parent
    if not any((folder / path).is_file() for path in PARTS.values()):
        return _absent(
            "There is no run beside this artifact, so its results, training curves and health card cannot be shown. "
            "Serve the folder `artifact` inside the run that `cobrarec fit` wrote to see them."
        )
    try:
        run = read_run(folder)
    except RunError as error:
        return _absent(f"The run beside this artifact cannot be read: {str(error).replace(str(folder), 'its folder')}")
    parts = {"results": results(run), "training curves": training(run), "health card of the semantic IDs": health_card(run)}
    missing = [name for name, part in parts.items() if not part]
    told = _absent(f"The run beside this artifact holds no {' and no '.join(missing)}.") if missing else None
    return join(headline(run), *parts.values(), told)


def _fact(name: str, value: Any) -> Markup:
    shown = number(value) if isinstance(value, int | float) else user_text("–" if value is None else value)
    return tag("div", tag("dt", name), tag("dd", shown))


def _folded(title: str, values: Mapping[str, Any]) -> Markup:
    rows = [tag("tr", tag("th", tag("code", name), scope="row"), tag("td", _plain(value), class_="num")) for name, value in values.items()]
    return tag("details", tag("summary", title), wide(tag("table", tag("tbody", *rows)), title)) if rows else Markup("")


def _plain(value: Any) -> str:
    return "–" if value is None else ("yes" if value else "no") if isinstance(value, bool) else f"{value}"


def _absent(sentence: str) -> Markup:
    return tag("p", sentence, class_="notice")
