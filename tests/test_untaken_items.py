"""An item of the fitted table that nobody took shares in the counts of others, from the fit to whatever comes of its artifact."""

import numpy as np
import pyarrow.compute as pc
import pytest

from cobrarec import pipeline
from cobrarec.artifact import load_artifact
from cobrarec.compaction import compact
from cobrarec.config import RunOptions
from small_run import small_config, small_world

ITEMS, INTERACTIONS = small_world()
UNTAKEN = ITEMS["item_id"][7].as_py()
TAKEN = INTERACTIONS.filter(pc.not_equal(INTERACTIONS["item_id"], UNTAKEN))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("untaken") / "run"
    pipeline.fit(ITEMS, TAKEN, folder, small_config(), RunOptions())
    return folder / "artifact"


def sharing(recommender):
    """Ids of the items with shares in the counts of others."""
    return recommender.catalog.item_ids[np.flatnonzero(np.diff(recommender.network.memory.shares.indptr))].tolist()


def test_in_the_artifacts_of_a_fit(artifact):
    assert sharing(load_artifact(artifact)) == [UNTAKEN]
    assert UNTAKEN in sharing(load_artifact(artifact.with_name("chosen")))


def test_in_a_compacted_one(artifact, tmp_path):
    assert sharing(compact(artifact, tmp_path / "next")) == [UNTAKEN]


@pytest.mark.parametrize("is_taken", [False, True])
def test_in_one_that_goes_on_as_long_as_nobody_takes_it(artifact, tmp_path, is_taken):
    interactions = INTERACTIONS if is_taken else TAKEN
    recommender = pipeline.fit(ITEMS, interactions, tmp_path / "run", None, RunOptions(from_artifact=artifact))
    assert (recommender.network.memory.shares is None) == is_taken
    assert is_taken or sharing(recommender) == [UNTAKEN]
