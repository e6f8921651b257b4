"""What a run folder holds, read for the report; parts that are not there are named, never guessed."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cobrarec.errors import RunError

PARTS = {
    "metrics": "metrics.json",
    "audit": "prepared/audit.json",
    "health_card": "semantic_ids/health_card.json",
    "codes": "semantic_ids/codes.npy",
    "words": "semantic_ids/words.json",
    "log": "log.jsonl",
    "examples": "examples.json",
    "config": "config.yaml",
    "manifest": "artifact/manifest.json",
    "choices": "checkpoints/choices.json",
}
"""The files that the report reads, by the part of the page that they fill."""
NETWORK_PARTS = ("health_card", "codes", "words", "log")
"""Those that a run of another ranker than the network never has."""


@dataclass(frozen=True)
class RunFiles:
    """The parts of a run. A part whose file is absent is None (or empty); its path stands in `missing` if such a run should have it."""

    name: str
    metrics: dict[str, Any] | None
    audit: dict[str, Any] | None
    health_card: dict[str, Any] | None
    bucket_sizes: list[int]
    epochs: list[dict[str, Any]]
    examples: list[dict[str, Any]]
    config: str | None
    manifest: dict[str, Any] | None
    missing: tuple[str, ...]
    choices: dict[str, Any] | None = None
    """What validation chose."""
    model: str = "cobra"
    """What the metrics call the run's own."""
    buckets: Sequence[dict[str, Any]] = ()
    """The largest buckets in words."""


def read_run(folder: Path) -> RunFiles:
    """Read the parts of the run in `folder`.

    Raises:
        RunError: the folder does not exist, holds none of a run's files, or one of them is damaged.
    """
    if not folder.is_dir():
        raise RunError(f"There is no run folder {folder}. Give the folder that `cobrarec fit --out` wrote.")
    missing = tuple(path for path in PARTS.values() if not (folder / path).is_file())
    if len(missing) == len(PARTS):
        raise RunError(
            f"{folder} holds none of the files of a run ({', '.join(PARTS.values())}). Give the folder that `cobrarec fit --out` wrote."
        )
    config = folder / PARTS["config"]
    settings = config.read_text(encoding="utf-8", errors="replace") if config.is_file() else None
    ranker = _top_setting(settings, "ranker") or "cobra"
    if ranker != "cobra":
        missing = tuple(path for path in missing if path not in [PARTS[part] for part in NETWORK_PARTS])
    return RunFiles(
        name=folder.resolve().name,
        metrics=_read_json(folder / PARTS["metrics"], dict),
        audit=_read_json(folder / PARTS["audit"], dict),
        health_card=_read_json(folder / PARTS["health_card"], dict),
        bucket_sizes=_read_bucket_sizes(folder / PARTS["codes"]),
        epochs=_read_epochs(folder / PARTS["log"]),
        examples=_read_json(folder / PARTS["examples"], list) or [],
        config=settings,
        manifest=_read_json(folder / PARTS["manifest"], dict),
        choices=_read_json(folder / PARTS["choices"], dict),
        buckets=_read_json(folder / PARTS["words"], list) or [],
        missing=missing,
        model=_top_setting(settings, "name") or ranker,
    )


def _top_setting(settings: str | None, name: str) -> str | None:
    """The value of a word in `config.yaml`, read without parsing the rest; None where there is none."""
    found = re.search(rf"^{name}: (?!null$)('?)([\w.-]+)\1$", settings or "", re.MULTILINE)
    return None if found is None else found[2]


def _read_json(path: Path, kind: type) -> Any:
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError):
        raise RunError(f"{path} is not readable JSON. Run the step that writes it again.") from None
    if not isinstance(value, kind):
        raise RunError(f"{path} holds a {type(value).__name__}, expected a {kind.__name__}. Run the step that writes it again.")
    return value


def _read_bucket_sizes(path: Path) -> list[int]:
    """Return how many items share each semantic ID, from the codes `[num_items, num_levels]` of the catalog."""
    if not path.is_file():
        return []
    try:
        codes = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError):
        raise RunError(f"{path} is damaged. Run `cobrarec semantic-ids` again.") from None
    if codes.ndim != 2:
        raise RunError(f"{path} has {codes.ndim} dimensions, expected 2. Run `cobrarec semantic-ids` again.")
    if not codes.shape[1]:
        return [len(codes)]
    return sorted(np.unique(codes, axis=0, return_counts=True)[1].tolist())


def _read_epochs(path: Path) -> list[dict[str, Any]]:
    """Return the log's epochs in order; a resumed run repeats some (the later one counts) and a killed one may end in half a line."""
    by_epoch: dict[int, dict[str, Any]] = {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("event") == "epoch" and isinstance(record.get("epoch"), int):
            by_epoch[record["epoch"]] = record
    return [by_epoch[epoch] for epoch in sorted(by_epoch)]
