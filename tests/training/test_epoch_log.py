"""log.jsonl holds each epoch once, whatever happened."""

import json
from pathlib import Path

from cobrarec.training.epoch_log import append_epoch, restore_epochs


def record(epoch: int) -> dict[str, object]:
    return {"event": "epoch", "epoch": epoch, "losses": {"loss": 0.5}}


def test_epochs_unknown_to_the_checkpoint_go_and_other_events_stay(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps({"event": "started"}) + "\n")
    for epoch in (1, 2, 3):
        append_epoch(path, record(epoch))
    with path.open("a") as file:
        file.write('{"event": "epo')
    restore_epochs(path, [record(1), record(2)])
    append_epoch(path, record(3))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["event"], line.get("epoch")) for line in lines] == [("started", None), ("epoch", 1), ("epoch", 2), ("epoch", 3)]


def test_a_new_log_is_empty(tmp_path: Path) -> None:
    restore_epochs(tmp_path / "log.jsonl", [])
    assert (tmp_path / "log.jsonl").read_text() == ""
