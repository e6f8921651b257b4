"""Where a record comes from: commit, date, cores or device."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from cobrarec.training.job import resolve_device

PACKAGE = Path(__file__).parents[1]


def provenance(device: str, num_threads: int | None) -> dict[str, Any]:
    """`cores` (threads used) or `device`, `commit` (None outside a repository) and `date`, for a record."""
    place = resolve_device(device)
    where: dict[str, Any] = {"cores": num_threads or torch.get_num_threads()}
    if place.type != "cpu":
        where = {"device": torch.cuda.get_device_name(place)}
    return {**where, "commit": commit(PACKAGE), "date": datetime.now(UTC).strftime("%Y-%m-%d")}


def commit(package: Path) -> str | None:
    """The commit of a package's sources, with `-dirty` where one of them differs from it; None where git does not know them."""
    tracked = _git(package, "ls-files", "--error-unmatch", "__init__.py")
    name = _git(package, "rev-parse", "--short", "HEAD")
    if tracked is None or name is None:
        return None
    return name + "-dirty" * bool(_git(package, "status", "--porcelain", "--", "."))


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
