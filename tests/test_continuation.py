import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch

from cobrarec import pipeline
from cobrarec.artifact import load_artifact, load_new_item_tools, open_live_catalog
from cobrarec.artifact_manifest import read_manifest
from cobrarec.cli import main
from cobrarec.config import RunOptions, load_config
from cobrarec.continuation import Origin, carried_model, continued_ids
from cobrarec.errors import ConfigError, RunError
from cobrarec.prepared import load_prepared
from cobrarec.progress import Silent
from cobrarec.run_folder import RunFolder
from small_run import Told, artifact_contents, small_config, small_world, write_small

ITEMS, INTERACTIONS = small_world()
NEW = ITEMS["item_id"].slice(40, 5)


def older_tables():
    """The tables before five items came and each user took the last three items."""
    old_items = ITEMS.filter(pc.invert(pc.is_in(ITEMS["item_id"], NEW)))
    known = INTERACTIONS.filter(pc.invert(pc.is_in(INTERACTIONS["item_id"], NEW)))
    users = known["user_id"].to_pylist()
    from_end = {user: users.count(user) for user in set(users)}
    kept, seen = [], dict.fromkeys(from_end, 0)
    for user in users:
        seen[user] += 1
        kept.append(seen[user] <= from_end[user] - 3)
    return old_items, known.filter(pa.array(kept))


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    folder = tmp_path_factory.mktemp("continuation") / "old"
    pipeline.fit(*older_tables(), folder, small_config(), RunOptions(seed=3))
    return folder / "artifact"


def gone_on(origin, out, interactions=INTERACTIONS, told=None, **options):
    return pipeline.fit(ITEMS, interactions, out, None, RunOptions(from_artifact=origin, **options), told or Silent())


def test_old_items_keep_their_codes_and_new_ones_get_those_of_their_text(origin, tmp_path):
    told = Told()
    recommender, before = gone_on(origin, tmp_path / "new", told=told), load_artifact(origin)
    known = [item for item in before.catalog.item_ids.tolist() if item in recommender.catalog]
    assert len(known) == 43
    codes, old_codes = recommender.semantic_ids.codes, before.semantic_ids.codes
    assert (codes[recommender.catalog.rows(known)] == old_codes[before.catalog.rows(known)]).all()
    tools = load_new_item_tools(origin)
    rows = recommender.catalog.rows(NEW.to_pylist())
    texts = [recommender.catalog.texts[row] for row in rows]
    assert (codes[rows] == tools.assigner.encode(tools.embedder.encode(texts))).all()
    assert any("43 items keep their codes, 5 are new, 0 gone" in line for line in told.lines)
    facts = read_manifest(tmp_path / "new" / "artifact")["model"]
    assert facts["continued_from"] == before.info.artifact
    assert recommender.weights == before.weights
    assert not torch.equal(recommender.model.dense_head.weight, before.model.dense_head.weight), "it has learned"


def test_the_training_begins_with_what_the_artifact_knows(origin, tmp_path):
    gone_on(origin, tmp_path / "new")
    prepared = load_prepared(RunFolder(tmp_path / "new"))
    from_there = Origin.load(origin)
    model = carried_model(prepared.refitting(), continued_ids(prepared, from_there, Silent()), from_there)
    old, rows = from_there.recommender, from_there.rows_in(prepared)
    warm = (rows >= 0) & (old.info.popularity[rows] > 0)
    vectors = model.eval().item_vectors().vectors
    assert torch.allclose(vectors[torch.from_numpy(warm)], old.items.vectors[torch.from_numpy(rows[warm])], atol=1e-5)
    assert torch.equal(model.dense_head.weight, old.model.dense_head.weight)


def test_the_test_interactions_are_not_learned(origin, tmp_path):
    users = INTERACTIONS["user_id"].to_pylist()
    is_last = np.array([place + 1 == len(users) or users[place + 1] != user for place, user in enumerate(users)])
    ids = np.array(INTERACTIONS["item_id"].to_pylist(), object)
    ids[is_last] = np.roll(ids[is_last], 7)
    other = INTERACTIONS.set_column(
        INTERACTIONS.schema.names.index("item_id"), "item_id", pa.array(ids.tolist(), INTERACTIONS["item_id"].type)
    )
    gone_on(origin, tmp_path / "one")
    gone_on(origin, tmp_path / "other", other)
    assert artifact_contents(tmp_path / "one") == artifact_contents(tmp_path / "other")


def test_metrics_are_those_of_the_test_alone(origin, tmp_path):
    gone_on(origin, tmp_path / "new", test=True)
    metrics = json.loads((tmp_path / "new" / "metrics.json").read_text())
    assert metrics["valid"] is None
    assert {"cobra", "popularity", "counts"} <= set(metrics["test"])
    assert (tmp_path / "new" / "report.html").exists()


def test_changes_made_to_the_items_are_gone_on_from_too(origin, tmp_path):
    import shutil

    folder = shutil.copytree(origin, tmp_path / "artifact")
    live = open_live_catalog(folder, "a test")
    live.put(ITEMS.filter(pc.is_in(ITEMS["item_id"], NEW)))
    added = live.recommender
    live.close()
    told = Told()
    recommender = gone_on(folder, tmp_path / "new", told=told)
    assert any("48 items keep their codes, 0 are new" in line for line in told.lines)
    ids = NEW.to_pylist()
    assert (recommender.semantic_ids.codes[recommender.catalog.rows(ids)] == added.semantic_ids.codes[added.catalog.rows(ids)]).all()
    with pytest.raises(RunError, match="another run"):
        gone_on(origin, tmp_path / "new", resume=True)


def test_a_finished_run_stays_as_it_is(origin, tmp_path):
    gone_on(origin, tmp_path / "new")
    before = artifact_contents(tmp_path / "new")
    gone_on(origin, tmp_path / "new", resume=True)
    assert artifact_contents(tmp_path / "new") == before


def test_what_the_weights_cannot_go_on_with_is_refused(origin, tmp_path):
    wider = small_config(model={"dim": 32})
    with pytest.raises(ConfigError, match="`model` differs"):
        pipeline.fit(ITEMS, INTERACTIONS, tmp_path / "new", wider, RunOptions(from_artifact=origin))
    assert not (tmp_path / "new").exists() or not any((tmp_path / "new").iterdir())
    with pytest.raises(ConfigError, match="--from and --like"):
        gone_on(origin, tmp_path / "new", like=tmp_path)
    everything = pipeline.fit(
        *older_tables(), tmp_path / "all", {**small_config().model_dump(), "data": {"split": "none"}}, RunOptions(from_artifact=origin)
    )
    assert everything.info.split == "none"
    with pytest.raises(RunError, match="has learned from all interactions"):
        pipeline.fit(
            ITEMS, INTERACTIONS, tmp_path / "tested", small_config(), RunOptions(from_artifact=tmp_path / "all" / "artifact", test=True)
        )


def test_no_test_is_read_that_the_artifact_may_have_learned(origin, tmp_path):
    config = load_config(origin / "config.yaml")
    by_time = config.model_copy(update={"data": config.data.model_copy(update={"split": "time:0.8"})})
    with pytest.raises(RunError, match="held out by split last-two, this run by time:0.8"):
        pipeline.fit(ITEMS, INTERACTIONS, tmp_path / "by-time", by_time, RunOptions(from_artifact=origin, test=True))
    fewer = ITEMS.slice(1)
    with pytest.raises(RunError, match="1 items of .* are gone"):
        pipeline.fit(fewer, INTERACTIONS, tmp_path / "fewer", None, RunOptions(from_artifact=origin, test=True))


def test_the_command_line_goes_on_with_the_settings_of_the_artifact(tmp_path, capsys):
    words = write_small(tmp_path)
    assert main(["fit", *words, "--out", str(tmp_path / "monday")]) == 0
    artifact = str(tmp_path / "monday" / "artifact")
    assert main(["fit", *words[:4], "--out", str(tmp_path / "tuesday"), "--from", artifact, "--test"]) == 0
    captured = capsys.readouterr()
    assert "48 items keep their codes" in captured.err
    assert main(["fit", *words[:4], "--out", str(tmp_path / "other"), "--from", artifact, "--model.dim", "32"]) == 2
    assert "`model` differs" in capsys.readouterr().err
