"""Small generated data sets in place of those of an experiment, to see that it runs: `python examples/generated_sets.py DIR`."""

import sys
from pathlib import Path

import pyarrow as pa

from cobrarec.data.sources import DAY, generated_set, write_source
from cobrarec.experiments.definition import load_definition

NUM_USERS, NUM_ITEMS, NUM_INTERACTIONS = 1500, 400, 12_000
DAYS = 6
"""Times are known to so many days, so that a user's interactions are often tied, as in real data that knows days alone."""


def main(folder: Path, experiment: str = "table2") -> None:
    """Write one set, drawn by another seed, for each data set that the experiment names."""
    for seed, name in enumerate(load_definition(experiment)[1].datasets):
        items, interactions = generated_set(NUM_USERS, NUM_ITEMS, NUM_INTERACTIONS, seed)
        coarse = [time - time % (DAYS * DAY) for time in interactions["timestamp"].to_pylist()]
        interactions = interactions.set_column(interactions.schema.get_field_index("timestamp"), "timestamp", pa.array(coarse))
        print(*write_source(items, interactions, folder / name))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("Give the folder to write to: python examples/generated_sets.py DIR")
    main(Path(sys.argv[1]))
