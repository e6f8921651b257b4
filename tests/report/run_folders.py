"""Run folders written by hand, as a run would leave them, for the tests of the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np

HOSTILE = '<script>alert(1)</script> & "quotes" <img src=x onerror=alert(2)>'

METRICS: dict[str, Any] = {
    "protocol": "last-two, full ranking, history masked",
    "users": 22363,
    "valid": {
        "cobra": {
            "recall@5": 0.08712,
            "ndcg@5": 0.05987,
            "recall@10": 0.121337,
            "ndcg@10": 0.0707,
            "mrr@10": 0.0552,
            "coverage@10": 0.7123,
            "id_recall@10": 0.61,
        },
        "popularity": {
            "recall@5": 0.0064,
            "ndcg@5": 0.004,
            "recall@10": 0.0121,
            "ndcg@10": 0.0061,
            "mrr@10": 0.0041,
            "coverage@10": 0.0017,
        },
        "counts": {"recall@5": 0.0702, "ndcg@5": 0.0521, "recall@10": 0.0981, "ndcg@10": 0.0611, "mrr@10": 0.05, "coverage@10": 0.81},
    },
    "test": {
        "cobra": {"recall@5": 0.0702341, "recall@10": 0.0998123, "ndcg@10": 0.0558451},
        "popularity": {"recall@5": 0.0061, "recall@10": 0.0119, "ndcg@10": 0.0059},
        "counts": {"recall@5": 0.059141, "recall@10": 0.082055, "ndcg@10": 0.050612},
    },
}


def epoch_record(epoch: int, ndcg: float) -> dict[str, Any]:
    """One line of log.jsonl."""
    return {
        "event": "epoch", "epoch": epoch, "step": 100 * epoch, "seconds": 31.0 * epoch, "interactions_per_second": 4000.0 + epoch,
        "learning_rate": 0.003, "losses": {"loss": 12.0 / epoch, "sparse": 4.0 / epoch}, "valid": {"recall@10": 2 * ndcg, "ndcg@10": ndcg},
    }  # fmt: skip


def example(title: str = "Plain title") -> dict[str, Any]:
    """One record of examples.json whose first recommended item is the one taken next."""
    why = {"beam_probability": 0.25, "cosine": 0.875, "nearest_history_item": "a", "terms": {"beam": -1.0, "similarity": -2.0}}
    words = {"semantic_id": [12, 3], "id_words": [["Monster High", title], ["Doll"]]}
    taken = {"item_id": "b", "title": "Taken item", **words}
    return {
        "user_id": "user-7",
        "history": [{"item_id": "a", "title": title}],
        "target": taken,
        "items": [
            {**taken, "rank": 1, "score": 0.5, "source": "beam", "why": why},
            {
                "item_id": "c",
                "title": title,
                "rank": 2,
                "score": 0.0125,
                "semantic_id": [1, 2],
                "source": "fill",
                "why": {"cosine": 0.5, "terms": {"fill": -4.5}},
            },
        ],
    }


def bucket(title: str = "Plain title", code: int = 0) -> dict[str, Any]:
    """One record of words.json."""
    return {"semantic_id": [code, 5], "words": [["Trains", title], []], "num_items": 1090 - code, "titles": [title, "Red engine"]}


def write_run(folder: Path, title: str = "Plain title") -> Path:
    """A whole run in `folder`; `title` stands wherever words of the data can stand."""
    for name in ("prepared", "semantic_ids", "checkpoints", "artifact"):
        (folder / name).mkdir(parents=True)
    entries = [{"label": "users", "value": 22363, "note": ""}, {"label": "share of the most popular item", "value": 0.0022, "note": title}]
    card = {"num_items": 12101, "alone_share": 0.25, "used_codes": [128, 31], "perplexity": [117.5, 28.25], "bucket_quantiles": [1, 90]}
    codes = np.repeat([[0, 1], [0, 2], [3, 1]], [1, 2, 90], axis=0).astype(np.int32)
    np.save(folder / "semantic_ids/codes.npy", codes)
    manifest = {
        "format_version": 1,
        "split": "last-two",
        "created": "2026-01-02T03:04:05",
        "model": {"trained_on": "training and validation interactions"},
        "files": {"items.parquet": {"sha256": "ab" * 32, "bytes": 12345}},
    }
    _write(folder / "prepared/audit.json", {"entries": entries})
    _write(folder / "semantic_ids/health_card.json", card | {"collapse_reasons": []})
    _write(folder / "semantic_ids/words.json", [bucket(title, number) for number in range(15)])
    _write(folder / "metrics.json", METRICS)
    _write(folder / "examples.json", [example(title)])
    _write(folder / "artifact/manifest.json", manifest)
    _write(folder / "checkpoints/choices.json", {"num_epochs": 5, "direct_weight": 0.75})
    (folder / "config.yaml").write_text(f"data:\n  split: last-two\n  text_template: '{title}'\n", encoding="utf-8")
    epochs = [epoch_record(1, 0.04), epoch_record(2, 0.06), epoch_record(3, 0.05)]
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in epochs), encoding="utf-8")
    return folder


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
