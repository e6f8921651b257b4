"""`cobrarec fit` with defaults on a generated set of 1 million interactions, 150,000 users and 60,000 items: wall time and memory.

python benchmarks/large_set.py --out /tmp/large-set [--threads 1] [--users 150000 --items 60000 --interactions 1000000]

Goal: 2 hours on 2 cores, 8 GB at the peak. Writes `figures.json` into the folder, beside the run.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from _machine import machine

from cobrarec.data.sources import generated_set, write_source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables and the run")
    parser.add_argument("--threads", type=int, help="CPU threads; torch's choice where not given")
    parser.add_argument("--users", type=int, default=150_000)
    parser.add_argument("--items", type=int, default=60_000)
    parser.add_argument("--interactions", type=int, default=1_000_000)
    given = parser.parse_args()
    figures = machine()
    items, interactions = write_source(*generated_set(given.users, given.items, given.interactions), given.out)
    command = [sys.executable, "-m", "cobrarec", "fit", "--items", str(items), "--interactions", str(interactions)]
    command += ["--out", str(given.out / "run")] + (["--num-threads", str(given.threads)] if given.threads else [])
    began = time.monotonic()
    subprocess.run(command, check=True)
    figures |= {
        "users": given.users,
        "items": given.items,
        "interactions": given.interactions,
        "threads": given.threads or "default",
        "minutes": round((time.monotonic() - began) / 60, 1),
        "peak_gigabytes": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20, 2),
        "metrics": json.loads((given.out / "run" / "metrics.json").read_text()),
    }
    (given.out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
