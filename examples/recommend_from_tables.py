"""From two tables to recommendations with their reasons, in Python.

Run it as it stands for a synthetic world, or with two files of your own:

    python examples/recommend_from_tables.py
    python examples/recommend_from_tables.py items.parquet interactions.parquet runs/mine
"""

import sys
import tempfile
from pathlib import Path

import cobrarec
from cobrarec.data.sources import predictable_world


def main(arguments: list[str]) -> None:
    """Fit, then recommend to two histories: one that was never seen in training, one that is empty."""
    if arguments:
        items, interactions, out = arguments
        recommender = cobrarec.fit(items, interactions, out=out)
    else:
        tables = predictable_world(num_users=200, num_items=96)
        out = str(Path(tempfile.mkdtemp()) / "run")
        recommender = cobrarec.fit(*tables, out=out)

    titles = dict(zip(recommender.catalog.item_ids.tolist(), recommender.catalog.titles, strict=True))
    history = list(titles)[:3]
    print("After", " / ".join(titles[item] for item in history))
    lists = recommender.recommend([history, []], k=5, explain=True)
    for recommendation in lists[0]:
        why = recommendation.why
        assert why is not None
        reason = f"near {titles[why.nearest_history_item]}" if why.nearest_history_item is not None else ""
        print(f"{recommendation.rank:>3}  {titles[recommendation.item_id]:<40} {recommendation.score:.4f}  {reason}")
    print("Without a history:", " / ".join(titles[recommendation.item_id] for recommendation in lists[1]))
    print("Everything about the run is in", Path(out) / "report.html")


if __name__ == "__main__":
    main(sys.argv[1:])
