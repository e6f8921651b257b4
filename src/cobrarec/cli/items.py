"""`cobrarec items`: items added, changed or removed without retraining."""

from pathlib import Path
from typing import TYPE_CHECKING

from cobrarec.artifact import open_live_catalog
from cobrarec.cli.lists import read_ids
from cobrarec.compaction import compact
from cobrarec.retrieval.live_catalog import ChangeResult

if TYPE_CHECKING:
    from cobrarec.cli.artifact_commands import Items
    from cobrarec.cli.screen import Screen


def change_items(command: "Items", screen: "Screen") -> None:
    """Do what `command` says and print what it came to."""
    if command.out is not None:
        compacted = compact(command.artifact, command.out)
        screen.line(f"{command.out}: {compacted.catalog.num_items:,} items, catalog version {compacted.info.catalog_version}")
        return
    live = open_live_catalog(command.artifact, f"cobrarec items {command.action}")
    try:
        if command.items is not None:
            outcome = live.put(Path(command.items))
        else:
            outcome = live.remove(read_ids(command.item, live.recommender) or [])
    finally:
        live.close()
    screen.line(f"{command.artifact}: {outcome_text(outcome)}")


def outcome_text(outcome: ChangeResult) -> str:
    """What a change came to, in one line."""
    counts = [f"{count:,} {name}" for name in ("added", "changed", "unchanged", "removed") if (count := getattr(outcome, name))]
    return f"{', '.join(counts) or 'nothing to do'}; catalog version {outcome.catalog_version}"
