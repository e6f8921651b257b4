"""How long a trained run's artifact takes: one list at a time, many at once, and the evaluation of all validation users.

python benchmarks/retrieval.py --run RUN [--lists 300] [--skip-evaluation]

Goals on one core, for Amazon Beauty with defaults: 25 ms a list, 120 s for its 22,363 users.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from _machine import machine, milliseconds

import cobrarec
from cobrarec.evaluation.evaluate import evaluate
from cobrarec.prepared import load_prepared
from cobrarec.run_folder import RunFolder

WARM_UP = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a finished run with a validation split")
    parser.add_argument("--lists", type=int, default=300, help="histories asked for one by one, drawn from the validation users")
    parser.add_argument("--skip-evaluation", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    figures = machine() | {"threads": 1}
    prepared, began = load_prepared(RunFolder(given.run)), time.perf_counter()
    recommender = cobrarec.load(given.run / "artifact")
    figures["seconds to load"] = round(time.perf_counter() - began, 2)
    valid = prepared.split.valid
    assert valid is not None, "the run held nothing out"
    drawn = np.random.default_rng(0).choice(valid.num_users, min(given.lists, valid.num_users), replace=False)
    histories = [prepared.catalog.item_ids[valid.histories.of(int(user))].tolist() for user in drawn]
    seconds = []
    for history in histories[:WARM_UP] + histories:
        began = time.perf_counter()
        recommender.recommend([history], k=10)
        seconds.append(time.perf_counter() - began)
    figures["milliseconds a list, one by one"] = milliseconds(seconds[WARM_UP:])
    began = time.perf_counter()
    recommender.recommend(histories, k=10)
    figures["milliseconds a list, all at once"] = round(1000 * (time.perf_counter() - began) / len(histories), 2)
    if not given.skip_evaluation:
        began = time.perf_counter()
        metrics = evaluate(recommender, valid, (10,), prepared.catalog.num_items, recommender.semantic_ids.id_of_row)
        figures["evaluated users"], figures["seconds of evaluation"] = valid.num_users, round(time.perf_counter() - began, 1)
        figures["recall@10 on validation"] = round(metrics["recall@10"], 4)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
