"""The parts of the report's page, each a function from a run's files to HTML; a part without its file is empty."""

from collections.abc import Iterable, Sequence
from typing import Any

from cobrarec.artifact_manifest import LEARNED_MORE
from cobrarec.report.examples import example_cards
from cobrarec.report.markup import Markup, format_number, fraction, join, number, percent, tag, user_text
from cobrarec.report.plots import Mark, Series, histogram, line_chart
from cobrarec.report.run_files import RunFiles

AS_CHOSEN = "the model as chosen, before it learned from the validation interactions"
SYSTEMS = {"cobra": "COBRA", "popularity": "Popularity", "counts": "Transition counts", "content": "Content neighbors"}
"""Names of the compared systems; others keep their key."""
METRIC_NOTES = {
    "recall": "share of the held-out items that stand among the first k of their user's list, mean over users",
    "ndcg": "the same, with a hit counted as 1 / log2(1 + rank): higher places count more",
    "mrr": "1 / rank of the first held-out item among the first k, mean over users",
    "coverage": "share of the catalog that stands in the first k of at least one user's list",
    "length": "mean length of the lists, shown where some are shorter than k",
    "id_recall": "recall counted per semantic ID instead of per item: an upper companion of recall, never a substitute",
}
CARD_FACTS = {
    "num_items": ("Items", ""),
    "num_levels": ("Levels", "codes of an ID"),
    "codebook_size": ("Codes per level", ""),
    "num_ids": ("IDs in use", ""),
    "distinct_id_share": ("Distinct IDs", "share of the number of items"),
    "alone_share": ("Items with an ID to themselves", ""),
    "largest_bucket": ("Largest bucket", "items that share the most crowded ID"),
    "num_alike_items": ("Items that nothing tells apart", "of the same text as another, and without a transition of their own"),
    "largest_told_bucket": ("Largest bucket without them", ""),
    "reconstruction_error": ("Reconstruction error", "share of the variance that the codes lose"),
    "num_warm_items": ("Items with a signal of their own", "seen in training, or all where only text is quantized"),
    "text_only_agreement": ("Same ID by text alone", "of these, the share that a new item with the same text would join"),
    "same_bucket_share": ("Next item in the same bucket", "share of the training transitions"),
}
"""Names and notes of the health card's figures; others keep their key."""
LEVEL_FACTS = {
    "used_codes": "used codes",
    "perplexity": "perplexity",
    "text_only_level_agreement": "share with the same code by text alone",
}
"""Figures of the health card that hold one value per level."""
LOSSES = {"loss": "total", "sparse": "sparse (next code)", "dense": "dense (next vector)", "direct": "direct query"}


def section(anchor: str, title: str, *content: Markup, intro: str = "") -> Markup:
    """Return one section of the page, or nothing where it has no content."""
    if not any(content):
        return Markup("")
    return tag(
        "section",
        tag("h2", title, id=f"{anchor}-title"),
        tag("p", intro, class_="intro") if intro else None,
        *content,
        id=anchor,
        aria_labelledby=f"{anchor}-title",
    )


def tile(label: str, value: object, note: object = "") -> Markup:
    """Return one large figure with its label above and a note below."""
    return tag("div", tag("dt", label), tag("dd", tag("b", value), tag("small", note) if note else None), class_="tile")


def wide(content: Markup, label: str) -> Markup:
    """Return a region that scrolls sideways on narrow screens, reachable by keyboard."""
    return tag("div", content, class_="wide", role="region", aria_label=label, tabindex="0")


def metric_name(key: str) -> str:
    """Return a metric's name for reading, `ndcg@10` as NDCG@10 and `id_recall@10` as ID recall@10."""
    name, _, at = key.partition("@")
    words = {"ndcg": "NDCG", "mrr": "MRR", "id_recall": "ID recall"}.get(name, name.replace("_", " ").capitalize())
    return f"{words}@{at}" if at else words


def headline(run: RunFiles) -> Markup:
    """Return the run's main figures: ranking quality on the test where it was read, else on the validation."""
    metrics = run.metrics or {}
    which = next((name for name in ("test", "valid") if metrics.get(name)), None)
    if which is None:
        return Markup("")
    systems: dict[str, Any] = metrics[which]
    ours: dict[str, Any] = systems.get(run.model) or {}
    keys = [key for key in ("recall@10", "ndcg@10", "coverage@10") if key in ours]
    name = "test" if which == "test" else "validation"
    tiles = [tile(f"{metric_name(key)}, {name}", fraction(ours[key]), _against(run.model, key, systems)) for key in keys]
    return tag("dl", *tiles, class_="tiles")


def results(run: RunFiles) -> Markup:
    """Return the metrics tables, test and validation, the run's ranker beside the baselines."""
    metrics = run.metrics or {}
    titles = {"test": "Test", "valid": "Validation"}
    tables = [_metrics_table(titles[name], metrics[name]) for name in titles if isinstance(metrics.get(name), dict) and metrics[name]]
    if not tables:
        return Markup("")
    facts = [
        f"{key}: {format_number(value) if isinstance(value, int | float) else value}"
        for key, value in metrics.items()
        if isinstance(value, str | int | float)
    ]
    names = dict.fromkeys(
        key.partition("@")[0]
        for table in titles
        for system in (metrics.get(table) or {}).values()
        if isinstance(system, dict)
        for key in system
    )
    notes = [tag("li", tag("b", metric_name(name)), f": {METRIC_NOTES[name]}.") for name in names if name in METRIC_NOTES]
    legend = tag("details", tag("summary", "What the metrics mean"), tag("ul", *notes)) if notes else Markup("")
    intro = " · ".join([*facts[:4], *([f"validation: {AS_CHOSEN}"] if _is_refitted(run) and metrics.get("valid") else [])])
    return section("results", "Results", tag("div", *tables, class_="pair"), legend, intro=intro)


def audit(run: RunFiles) -> Markup:
    """Return the audit of the input tables."""
    entries = (run.audit or {}).get("entries") or []
    rows = [_audit_row(str(entry.get("label", "")), entry.get("value"), entry.get("note")) for entry in entries if isinstance(entry, dict)]
    return (
        section("data", "Data", tag("dl", *rows, class_="facts"), intro="What was found in the two tables before training.")
        if rows
        else Markup("")
    )


def health_card(run: RunFiles) -> Markup:
    """Return the health card of the semantic IDs with the histogram of their bucket sizes."""
    card = run.health_card or {}
    chart = histogram("IDs by bucket size", run.bucket_sizes, "items that share an ID", "IDs")
    facts = [_fact(key, value) for key, value in card.items() if isinstance(value, str | int | float) and not isinstance(value, bool)]
    per_level = {name: card[key] for key, name in LEVEL_FACTS.items() if isinstance(card.get(key), list)}
    levels = [
        {"level": level, **dict(zip(per_level, values, strict=True))} for level, values in enumerate(zip(*per_level.values(), strict=False))
    ]
    left = [tag("dl", *facts, class_="facts narrow") if facts else Markup(""), _records_table("Levels", levels)]
    content = [part for part in (tag("div", *left) if any(left) else Markup(""), chart) if part]
    pair = tag("div", *content, class_="pair") if content else Markup("")
    return section("semantic-ids", "Semantic IDs", _collapse(card), pair, intro="How evenly the codes divide the catalog.")


def training(run: RunFiles) -> Markup:
    """Return the curves of losses and validation metrics, and every epoch's figures folded."""
    if not run.epochs:
        return Markup("")
    best = _best_epoch(run.epochs)
    losses = [_series(run.epochs, "losses", key, name) for key, name in LOSSES.items()]
    metrics = [
        _series(run.epochs, "valid", key, metric_name(key))
        for key in _keys(run.epochs, "valid")
        if key.startswith(("recall@10", "ndcg@10", "mrr@10"))
    ]
    mark = Mark(best, f"best NDCG@10: epoch {best}") if best is not None and len(run.epochs) > 1 else None
    charts = [line_chart("Training losses", losses, "epoch"), line_chart("Validation metrics", metrics, "epoch", mark)]
    folded = tag("details", tag("summary", "Every epoch in figures"), _records_table("Epochs", [_flat(record) for record in run.epochs]))
    return section("training", "Training", tag("div", *charts, class_="pair"), folded, intro=_training_intro(run.epochs))


def examples(run: RunFiles) -> Markup:
    """Return the example users with their histories, lists and reasons."""
    cards = example_cards(run.examples)
    held_out = any(isinstance(example, dict) and example.get("target") for example in run.examples)
    known = "Users of the validation set: what they had, what they took next," if held_out else "Users of the training set: what they had,"
    intro = f"{known} and what is recommended to them and why{f', by {AS_CHOSEN}' if held_out and _is_refitted(run) else ''}."
    return section("examples", "Examples", cards, intro=intro) if cards else Markup("")


def configuration(run: RunFiles) -> Markup:
    """Return the resolved configuration and the artifact's files, both folded."""
    files = (run.manifest or {}).get("files") or {}
    rows = [{"file": name, **(facts if isinstance(facts, dict) else {})} for name, facts in files.items()]
    config = (
        tag("details", tag("summary", "Resolved configuration"), tag("pre", run.config, tabindex="0", aria_label="Resolved configuration"))
        if run.config
        else Markup("")
    )
    listing = tag("details", tag("summary", "Files of the artifact"), _records_table("Files of the artifact", rows)) if rows else Markup("")
    chosen = ", ".join(f"{name} {value:g}" for name, value in (run.choices or {}).items() if _is_number(value))
    intro = f"Chosen on validation, where the settings left it open: {chosen}." if chosen else ""
    return section("settings", "Settings and files", config, listing, intro=intro)


def _collapse(card: dict[str, Any]) -> Markup:
    reasons = card.get("collapse_reasons")
    if not isinstance(reasons, list) or not reasons:
        return Markup("")
    listed = tag("ul", *[tag("li", reason) for reason in reasons])
    return tag("div", tag("strong", "These IDs do not tell the items apart."), listed, class_="warning", role="note")


def _fact(key: str, value: Any) -> Markup:
    name, note = CARD_FACTS.get(key, (_words(key), ""))
    shown = percent(value) if _is_share(key, value) else number(value)
    return tag("div", tag("dt", name, tag("small", note) if note else None), tag("dd", shown))


def _audit_row(label: str, value: Any, note: Any) -> Markup:
    shown = percent(value) if _is_share(label, value) else number(value)
    return tag("div", tag("dt", _words(label), tag("small", user_text(note)) if note else None), tag("dd", shown))


def _against(model: str, key: str, systems: dict[str, Any]) -> Markup:
    others = [(name, system[key]) for name, system in systems.items() if name != model and isinstance(system, dict) and key in system]
    return join(
        *[join(" · " if place else "", f"{SYSTEMS.get(name, name)} ", fraction(value)) for place, (name, value) in enumerate(others)]
    )


def _metrics_table(title: str, systems: dict[str, Any]) -> Markup:
    columns = {name: metrics for name, metrics in systems.items() if isinstance(metrics, dict)}
    keys = [
        key
        for key in dict.fromkeys(key for metrics in columns.values() for key in metrics)
        if any(_is_number(metrics.get(key)) for metrics in columns.values())
    ]
    header = tag(
        "tr", tag("th", "Metric", scope="col"), *[tag("th", SYSTEMS.get(name, name), scope="col", class_="num") for name in columns]
    )
    rows = [
        tag("tr", tag("th", metric_name(key), scope="row"), *_metric_cells([metrics.get(key) for metrics in columns.values()]))
        for key in keys
    ]
    return wide(tag("table", tag("caption", title), tag("thead", header), tag("tbody", *rows), class_="metrics"), f"{title} metrics")


def _metric_cells(values: Sequence[Any]) -> list[Markup]:
    finite = [value for value in values if _is_number(value)]
    best = max(finite)
    return [
        tag(
            "td",
            fraction(value),
            class_="num best" if value == best > 0 and len(finite) > 1 else "num",
            style=f"--share:{value / best:.3f}" if _is_number(value) and best > 0 else None,
        )
        for value in values
    ]


def _records_table(label: str, records: Sequence[dict[str, Any]]) -> Markup:
    if not records:
        return Markup("")
    columns = [
        key
        for key in dict.fromkeys(key for record in records for key in record)
        if not any(isinstance(record.get(key), list | dict) for record in records)
    ]
    header = tag("tr", *[tag("th", _words(key), scope="col", class_=_alignment(records, key)) for key in columns])
    rows = [tag("tr", *[tag("td", _cell(key, record.get(key)), class_=_alignment(records, key)) for key in columns]) for record in records]
    return wide(tag("table", tag("thead", header), tag("tbody", *rows)), label)


def _alignment(records: Sequence[dict[str, Any]], key: str) -> str | None:
    return "num" if any(_is_number(record.get(key)) for record in records) else None


def _cell(key: str, value: Any) -> Markup:
    if _is_share(key, value):
        return percent(value)
    return tag("code", value) if key == "sha256" else number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _is_share(key: str, value: Any) -> bool:
    return isinstance(value, float) and 0 <= value <= 1 and ("share" in key or "agreement" in key)


def _words(key: str) -> str:
    text = metric_name(key) if "@" in key else key.replace("_", " ")
    text = text.removeprefix("num ")
    return {"sha256": "SHA-256", "ids": "IDs"}.get(text, text[:1].upper() + text[1:])


def _series(epochs: Iterable[dict[str, Any]], group: str, key: str, name: str) -> Series:
    values: list[tuple[int, Any]] = [(record["epoch"], (record.get(group) or {}).get(key)) for record in epochs]
    return Series(name, [(float(epoch), float(value)) for epoch, value in values if _is_number(value)])


def _keys(epochs: Iterable[dict[str, Any]], group: str) -> list[str]:
    return list(dict.fromkeys(key for record in epochs for key in record.get(group) or {}))


def _best_epoch(epochs: Sequence[dict[str, Any]]) -> int | None:
    scored = [(record["valid"]["ndcg@10"], -record["epoch"]) for record in epochs if _is_number((record.get("valid") or {}).get("ndcg@10"))]
    return -max(scored)[1] if scored else None


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if key == "losses" and isinstance(value, dict):
            flat |= {name if name == "loss" else f"{name} loss": amount for name, amount in value.items()}
        elif isinstance(value, dict):
            flat |= value
        elif key != "event":
            flat[key] = value
    return flat


def _training_intro(epochs: Sequence[dict[str, Any]]) -> str:
    rates = sorted(record["interactions_per_second"] for record in epochs if _is_number(record.get("interactions_per_second")))
    seconds = sum(record["seconds"] for record in epochs if _is_number(record.get("seconds")))
    parts = [f"{len(epochs)} epoch{'s' if len(epochs) != 1 else ''}"]
    parts += [f"{rates[len(rates) // 2]:,.0f} interactions per second (median)"] if rates else []
    parts += [_duration(seconds)] if seconds else []
    return ", ".join(parts) + "."


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _learned_from(run: RunFiles) -> str | None:
    model = (run.manifest or {}).get("model")
    learned = model.get("trained_on") if isinstance(model, dict) else None
    return learned if isinstance(learned, str) else None


def _is_refitted(run: RunFiles) -> bool:
    return _learned_from(run) == LEARNED_MORE


def facts_line(run: RunFiles) -> Markup:
    """Return the line under the title: split, what was learned from, who was evaluated, when."""
    manifest = run.manifest or {}
    learned = _learned_from(run)
    metrics = run.metrics or {}
    users = metrics.get("test_users") if metrics.get("test") else metrics.get("users")
    parts = [
        SYSTEMS.get(run.model, run.model) if run.model != "cobra" else None,
        f"split {manifest['split']}" if manifest.get("split") else None,
        f"learned from {learned}" if learned else None,
        f"{users:,} evaluated users" if isinstance(users, int) else None,
        f"saved {manifest['created']}" if manifest.get("created") else None,
    ]
    return join(*[tag("span", user_text(part)) for part in parts if part])
