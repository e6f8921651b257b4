import subprocess
import sys

import cobrarec


def test_the_package_runs_as_the_command():
    done = subprocess.run([sys.executable, "-m", "cobrarec", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"cobrarec {cobrarec.__version__}\n")
