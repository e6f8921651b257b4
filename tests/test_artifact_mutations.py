"""Artifacts altered at random: refused in a sentence, or, where the manifest was made to agree, loaded or refused; never anything else."""

import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from cobrarec import pipeline
from cobrarec.artifact import load_artifact, open_live_catalog
from cobrarec.artifact_manifest import read_manifest, write_manifest
from cobrarec.config import RunOptions
from cobrarec.errors import ArtifactError, CobraRecError
from small_run import small_config, small_world


@pytest.fixture(scope="module")
def artifact(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mutations") / "run"
    pipeline.fit(*small_world(), folder, small_config(), RunOptions())
    live = open_live_catalog(folder / "artifact", "a test")
    live.put(small_world()[0].slice(0, 1).set_column(0, "item_id", [["new"]]))
    live.remove(["new"])
    live.close()
    return folder / "artifact"


def files_of(folder: Path) -> list[Path]:
    """All files that a load reads."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "lock")


def altered(data: bytes, random: np.random.Generator) -> bytes:
    """Some bytes changed, cut out, put in or cut off."""
    place = int(random.integers(0, max(1, len(data))))
    kind = random.integers(0, 4)
    if kind == 0:
        changed = bytearray(data)
        for _ in range(int(random.integers(1, 9))):
            changed[int(random.integers(0, len(data)))] ^= int(random.integers(1, 256))
        return bytes(changed)
    if kind == 1:
        return data[:place]
    if kind == 2:
        return data[:place] + data[place + int(random.integers(1, 20)) :]
    return data[:place] + random.bytes(int(random.integers(1, 20))) + data[place:]


def test_one_altered_byte_of_any_file_is_refused_with_its_name(artifact, tmp_path):
    folder = Path(shutil.copytree(artifact, tmp_path / "artifact"))
    for number, path in enumerate(files_of(folder)):
        data = path.read_bytes()
        place = (len(data) // 2 + number) % len(data)
        path.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        named = "changes" if path.parent.name == "changes" else str(path.relative_to(folder))
        with pytest.raises(ArtifactError, match=named.replace(".", r"\.")):
            load_artifact(folder)
        path.write_bytes(data)
    assert load_artifact(folder).info.catalog_version == 2


@pytest.mark.slow
@pytest.mark.parametrize("agrees", [False, True], ids=["manifest as it was", "manifest made to agree"])
def test_a_thousand_altered_artifacts_are_refused_or_loaded_and_nothing_else(artifact, tmp_path, agrees):
    folder = Path(shutil.copytree(artifact, tmp_path / "artifact"))
    random, paths = np.random.default_rng(0), files_of(folder)
    paths = [path for path in paths if not (agrees and (path.name == "manifest.json" or path.parent.name == "changes"))]
    manifest = read_manifest(folder)
    loaded, refusals = 0, []
    for _ in range(1000):
        path = paths[int(random.integers(0, len(paths)))]
        data = path.read_bytes()
        path.write_bytes(altered(data, random))
        if agrees:
            write_manifest(folder, manifest["split"], manifest["ranker"], manifest["model"])
            shutil.rmtree(folder / "changes", ignore_errors=True)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                recommender = load_artifact(folder)
            recommender.recommend([[recommender.catalog.item_ids[0]], []], 5)
            loaded += 1
        except CobraRecError as error:
            refusals.append(str(error))
        path.write_bytes(data)
    assert agrees or loaded == 0, "an alteration went unseen"
    assert all(refusals)
    assert json.loads((folder / "manifest.json").read_text())["ranker"] == "cobra"
