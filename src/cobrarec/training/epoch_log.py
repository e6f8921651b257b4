"""log.jsonl: one JSON object a line; the training's are `{"event": "epoch", ...}`, other events are left alone."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cobrarec.data.tables import write_beside


def append_epoch(path: Path, record: dict[str, Any]) -> None:
    """Add the line of one epoch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def restore_epochs(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Leave exactly `records` as the epochs of the file: lines of an epoch that a checkpoint does not know are dropped."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    others = [line for line in lines if not _is_epoch(line)]
    with write_beside(path) as beside:
        beside.write_text("".join(line + "\n" for line in [*others, *(json.dumps(record) for record in records)]), encoding="utf-8")


def _is_epoch(line: str) -> bool:
    """True also for a line cut off by a crash."""
    try:
        event = json.loads(line)
    except ValueError:
        return True
    return isinstance(event, dict) and event.get("event") == "epoch"
