"""How long `import cobrarec` and `cobrarec --help` take, each in a fresh process, and that neither loads a heavy library.

python benchmarks/start_up.py [--repeats 11]

Goals: 0.4 s and 0.6 s. A bare interpreter is timed beside them.
"""

import argparse
import json
import subprocess
import sys
import time

from _machine import machine, milliseconds

HEAVY = ("torch", "transformers", "sklearn", "scipy", "duckdb", "pandas")
COMMANDS = {
    "bare interpreter": ["-c", "pass"],
    "import cobrarec": ["-c", "import cobrarec"],
    "cobrarec --help": ["-m", "cobrarec", "--help"],
    "cobrarec fit --help": ["-m", "cobrarec", "fit", "--help"],
}
LOADED = f"""
import contextlib, io, sys
from cobrarec.cli import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main(["fit", "--help"])
print([name for name in {HEAVY} if name in sys.modules])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=11)
    repeats = parser.parse_args().repeats
    figures = machine()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeats):  # in turn, so that a busy moment hits all alike
        for name, words in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - began)
    loaded = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    figures["heavy libraries loaded by fit --help"] = loaded.stdout.strip()
    figures["milliseconds"] = {name: milliseconds(taken) for name, taken in seconds.items()}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
