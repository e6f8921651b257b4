"""Where and when a figure was measured; printed beside every one."""

import os
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


def machine() -> dict[str, object]:
    """Date, commit, processor, cores, and how busy they were in the minute before."""
    here = Path(__file__).parent
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True, check=False)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "commit": commit.stdout.strip(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Least, median, 95 % and most."""
    ordered = sorted(seconds)
    shown = {
        "least": ordered[0],
        "median": statistics.median(ordered),
        "95 %": ordered[int(0.95 * (len(ordered) - 1))],
        "most": ordered[-1],
    }
    return {name: round(1000 * value, 2) for name, value in shown.items()}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
