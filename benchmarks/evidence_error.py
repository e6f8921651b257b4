"""How far the evidence from centroids is from the exact sums over each ID's items, on a trained run's model and validation users.

python benchmarks/evidence_error.py --run RUN [--users 2000] [--centroids 1 4 16 64]

Errors are in units of log (nats) of the summed direct scores per ID, each user's mean error taken out, because a softmax over IDs does
not see it. Beside them, how many of the exact sums' first 20 IDs the approximate ones find.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from _machine import machine

import cobrarec
from cobrarec.model.batch import collate
from cobrarec.model.item_evidence import CentroidEvidence, exact_log_sums
from cobrarec.prepared import load_prepared
from cobrarec.run_folder import RunFolder

NUM_IDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a finished run with a direct query and a validation split")
    parser.add_argument("--users", type=int, default=2000)
    parser.add_argument("--centroids", type=int, nargs="+", default=[1, 4, 16, 64])
    given = parser.parse_args()
    figures = machine()
    recommender, valid = cobrarec.load(given.run / "artifact"), load_prepared(RunFolder(given.run)).split.valid
    assert valid is not None, "the run held nothing out"
    model, items = recommender.model, recommender.items
    drawn = np.random.default_rng(0).choice(valid.num_users, min(given.users, valid.num_users), replace=False)
    with torch.no_grad():
        states = model.encode_history(collate(valid.histories.select(drawn), None, model.config.decoder.max_history), items)
        query = model.direct_queries(states.last_state)
        assert query is not None, "the model has no direct query"
        scaled, tables = query * model.direct_scale, model.tables
        exact = exact_log_sums(tables, items.unit[tables.bucket_rows], scaled, items.direct_bias)[1]
        figures |= {"users": len(drawn), "IDs of level 0": exact.shape[1], "items": len(items.vectors)}
        figures["deviation of the exact sums over IDs"] = round(float(exact.std(1).mean()), 3)
        best = exact.topk(min(NUM_IDS, exact.shape[1]), 1).indices
        for number in given.centroids:
            evidence = CentroidEvidence(tables, items.vectors.shape[1], number, len(items.vectors) * number)
            evidence.refresh(tables, items.unit, items.direct_bias)
            sums = evidence.log_sums(tables, scaled)[1]
            assert sums is not None
            error = sums - exact
            error = (error - error.mean(1, keepdim=True)).abs()
            found = (sums.topk(best.shape[1], 1).indices[:, :, None] == best[:, None]).any(2).double().mean()
            figures[f"{number} centroids"] = {
                "mean error": round(float(error.mean()), 3),
                "95 % error": round(float(error.flatten()[:: max(1, error.numel() // 100_000)].quantile(0.95)), 3),
                f"share of the first {best.shape[1]} IDs found": round(float(found), 3),
            }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
