"""Folders that are whole or absent, and the manifest that says what is in an artifact.

A file or folder is written beside its place and renamed. `manifest.json` holds the format version, the split, the ranker, what it is,
and sha256 and size of every other file; an artifact that differs from its manifest is refused.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cobrarec.data.tables import write_beside
from cobrarec.errors import ArtifactError

FORMAT_VERSION = 3
MANIFEST = "manifest.json"
CHANGES = "changes"
"""Folder inside an artifact for what changed since it was written; it checks itself."""
LEARNED, LEARNED_MORE, LEARNED_ALL = "training interactions", "training and validation interactions", "all interactions"
"""What a model has learned from, as manifests say under `trained_on`."""


def write_text(path: Path, text: str) -> None:
    """Write `text` beside `path` and rename; a failed write leaves the old file whole."""
    with write_beside(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `folder` at the end; on any error the old one stays as it was."""
    partial, old = folder.with_name(f".{folder.name}.partial"), folder.with_name(f".{folder.name}.old")
    if old.exists() and not folder.exists():
        os.replace(old, folder)
    for left_over in (partial, old):
        shutil.rmtree(left_over, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            os.replace(folder, old)
        os.replace(partial, folder)
    finally:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        for left_over in (partial, old):
            shutil.rmtree(left_over, ignore_errors=True)


def write_manifest(folder: Path, split: str, ranker: str, model: dict[str, Any]) -> None:
    """Write `manifest.json` over all files that are in `folder`; `model` is free text and numbers for a reader."""
    names = _file_names(folder)
    manifest: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "split": split,
        "ranker": ranker,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": model,
        "files": {name: {"sha256": file_hash(folder / name), "bytes": (folder / name).stat().st_size} for name in names},
    }
    manifest["sha256"] = _own_hash(manifest)
    write_text(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
    for name in names:  # some libraries write files that only their owner may read
        shutil.copymode(folder / MANIFEST, folder / name)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an artifact of this format version; raises ArtifactError with the way out."""
    again = "copy the artifact again or make it again with `cobrarec fit`."
    if not folder.is_dir():
        raise ArtifactError(f"No artifact at {folder}: expected the folder `artifact` of a run.")
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{folder} is no artifact: it has no {MANIFEST}. Expected the folder `artifact` of a run.") from None
    except ValueError:
        raise ArtifactError(f"{folder / MANIFEST} is damaged; {again}") from None
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        known = f"this cobrarec reads {FORMAT_VERSION}"
        raise ArtifactError(f"{folder} has format version {version}, {known}; use the cobrarec that wrote it, or fit again.")
    if not isinstance(manifest.get("files"), dict) or manifest.get("sha256") != _own_hash(manifest):
        raise ArtifactError(f"{folder / MANIFEST} is altered: it does not bear its own sha256; {again}")
    return manifest


def learned_from(folder: Path) -> str:
    """What the model of an artifact has learned from, as `LEARNED` and its like say it."""
    return str(read_manifest(folder)["model"].get("trained_on", LEARNED))


def _own_hash(manifest: dict[str, Any]) -> str:
    """sha256 of all that the manifest says but this."""
    said = json.dumps({name: value for name, value in manifest.items() if name != "sha256"}, sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def _file_names(folder: Path) -> list[str]:
    """All files but the manifest, the log of changes, and hidden ones, which file managers leave behind."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST and not path.name.startswith("."))
    return sorted(str(path.relative_to(folder)) for path in paths if path.relative_to(folder).parts[0] != CHANGES)


def verify_files(folder: Path) -> dict[str, Any]:
    """Compare every file with the manifest, which is returned; raises ArtifactError naming the first one that differs."""
    manifest = read_manifest(folder)
    foreign = sorted(set(_file_names(folder)) - set(manifest["files"]))
    if foreign:
        raise ArtifactError(f"{folder} is altered: {foreign[0]} is not in the manifest; remove it, or copy the artifact again.")
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError(f"{folder} is damaged: {name} is missing; copy the artifact again or make it again with `cobrarec fit`.")
        if path.stat().st_size != expected["bytes"] or file_hash(path) != expected["sha256"]:
            raise ArtifactError(f"{folder} is altered: {name} differs from the manifest; copy the artifact again or make it again.")
    return manifest


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
