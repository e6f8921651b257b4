"""Where and when a figure was measured; printed beside every one."""

import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


def machine() -> dict[str, object]:
    """Date, commit, processor and cores."""
    root = Path(__file__).parent
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True, check=False
    ).stdout.strip()
    info = Path("/proc/cpuinfo")
    models = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    )
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "commit": commit,
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "busy": round(os.getloadavg()[0], 2),
    }


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Least, median and most, in milliseconds."""
    return {
        name: round(1000 * value, 2)
        for name, value in (("least", min(seconds)), ("median", statistics.median(seconds)), ("most", max(seconds)))
    }
