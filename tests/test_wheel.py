"""The built wheel, installed where nothing else is, does the main job: no file is missing from it and no dependency undeclared."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from small_run import write_small

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


def run(*words: object, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_wheel_in_an_empty_environment_fits_and_recommends(tmp_path):
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path / "dist", ROOT, cwd=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    run(tmp_path / "env/bin/python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    command = tmp_path / "env/bin/cobrarec"
    tables = write_small(tmp_path)
    run(command, "fit", *tables, "--out", tmp_path / "run", cwd=tmp_path)
    run(command, "verify", "--artifact", tmp_path / "run/artifact", cwd=tmp_path)
    found = json.loads(run(command, "recommend", "--artifact", tmp_path / "run/artifact", "--item", "item-000003", "--json", cwd=tmp_path))
    assert [item["rank"] for item in found[0]["items"]] == list(range(1, 11))
    # the default text engine and a packaged configuration need files that lie inside the wheels
    short = ["--training.num-epochs", "1", "--semantic-ids.codebook-size", "8"]
    run(command, "fit", *tables[:4], "--config", "demo", *short, "--out", tmp_path / "demo", cwd=tmp_path)
    assert (tmp_path / "demo/report.html").stat().st_size > 10_000
