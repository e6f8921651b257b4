import copy
import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import torch
from list_worlds import ALL_BEAMS, EVERY_WORLD, assert_lists_are, assert_same_list
from small_world import NUM_ITEMS, ids_of, make_recommender, replaced, some_histories

from cobrarec import pipeline
from cobrarec.artifact import load_artifact, open_live_catalog
from cobrarec.config import DataConfig, RunOptions
from cobrarec.data.catalog import Catalog
from cobrarec.data.interactions import Histories
from cobrarec.errors import ArtifactError, DataError, MachineError
from cobrarec.model.item_vectors import ItemVectors
from cobrarec.retrieval.change_log import LogWriter
from cobrarec.retrieval.item_changes import ItemChange
from cobrarec.retrieval.live_catalog import apply_changes
from cobrarec.retrieval.stand_ins import NUM_NEIGHBORS
from cobrarec.semantic_ids.semantic_ids import SemanticIds
from cobrarec.semantic_ids.text_embeddings import TextEmbedder
from small_run import small_config, small_world

CONFIG = DataConfig()


def without(recommender, rows):
    """The recommender with these rows removed."""
    return apply_changes(recommender, [ItemChange(recommender.catalog.table.select(["item_id"]).take(pa.array(rows)))], CONFIG)


def never_had(recommender, rows):
    """A recommender of the same weights whose catalog never held these rows."""
    kept = np.setdiff1d(np.arange(NUM_ITEMS), rows)
    ids = SemanticIds.from_codes(recommender.semantic_ids.codes[kept], recommender.semantic_ids.codebook_size)
    items = ItemVectors.from_arrays({name: array[torch.from_numpy(kept)] for name, array in recommender.items.arrays().items()})
    model = recommender.model.with_semantic_ids(ids)
    model.refresh_evidence(items)
    memory = recommender.network.memory
    counts = memory.counts[kept][:, kept]
    return replaced(
        recommender,
        catalog=Catalog.from_table(recommender.catalog.table.take(pa.array(kept)), CONFIG),
        semantic_ids=ids,
        model=model,
        items=items,
        info=dataclasses.replace(recommender.info, popularity=recommender.info.popularity[kept]),
        memory=dataclasses.replace(memory, counts=counts),
    )


@EVERY_WORLD
@pytest.mark.parametrize("filters", [{}, {"exclude": ["B001", "B007"]}, {"allow": [f"B{row:03d}" for row in range(5, 40)]}])
def test_removed_items_leave_the_lists_of_a_catalog_that_never_had_them(world, filters):
    recommender = make_recommender(**world)
    removed = [3, 8, 9, 20, 21, 22, 59]
    one, other = without(recommender, removed), never_had(recommender, removed)
    histories = [[item for item in ids_of(recommender, some_histories().of(user)) if int(item[1:]) not in removed] for user in range(9)]
    for ours, theirs in zip(one.recommend(histories, 50, **filters), other.recommend(histories, 50, **filters), strict=True):
        found, expected = ([(int(item.item_id[1:]), np.log(item.score)) for item in items] for items in (ours, theirs))
        assert_same_list(*(tuple(np.array(part) for part in zip(*items, strict=True)) for items in (found, expected)))


@EVERY_WORLD
def test_removed_items_still_count_in_histories_and_are_in_no_list(world):
    recommender = make_recommender(**world, retrieval={"fill": False})
    removed = [3, 8, 9, 20, 21, 22, 59]
    less = without(recommender, removed)
    histories = some_histories()
    ranked = less.rank(histories, NUM_ITEMS)
    assert not np.isin(ranked.rows, removed).any()
    assert_lists_are(less, histories, ranked, less.config.num_beams, NUM_ITEMS)
    with_removed = less.recommend([["B003", "B008"]], 5)
    assert with_removed[0] != less.recommend([[]], 5)[0], "they say something"
    assert len(less.with_settings(fill=True).recommend([["B003"]], 100)[0]) == NUM_ITEMS - len(removed)


def test_nothing_but_removed_items_can_be_named_by_filters():
    less = without(make_recommender(), [3])
    assert less.recommend([["B001"]], 5, allow=["B003"])[0] == []
    assert [item.item_id for item in less.recommend([["B001"]], 5, allow=["B003", "B004"])[0]] == ["B004"]


def test_popular_items_leave_out_what_was_removed():
    recommender = make_recommender()
    best = recommender.recommend([[]], 1)[0][0].item_id
    less = without(recommender, recommender.catalog.rows([best]))
    assert best not in [item.item_id for item in less.recommend([[]], NUM_ITEMS)[0]]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live") / "run"
    pipeline.fit(*small_world(), folder, small_config(), RunOptions(seed=3))
    return folder / "artifact"


@pytest.fixture
def artifact(fitted, tmp_path):
    import shutil

    return shutil.copytree(fitted, tmp_path / "artifact")


@pytest.fixture
def live(artifact):
    catalog = open_live_catalog(artifact, "a test")
    yield catalog
    catalog.close()


def record(recommender, item):
    """What the items table says of an item."""
    return recommender.catalog.table.slice(recommender.catalog.find(item), 1).to_pylist()[0]


def like(recommender, item, **changes):
    """A table with one item that says what another one says."""
    return pa.Table.from_pylist([{**record(recommender, item), **changes}], recommender.catalog.table.schema)


def same_recommender(one, other):
    """Whether two recommenders hold the same items and give the same lists."""
    histories = [[], *(one.catalog.item_ids[start : start + 4].tolist() for start in range(0, one.catalog.num_items, 5))]
    assert one.catalog.table.equals(other.catalog.table)
    assert one.catalog.texts == other.catalog.texts
    assert (one.catalog.delisted == other.catalog.delisted).all()
    assert (one.semantic_ids.codes == other.semantic_ids.codes).all()
    for name, array in one.items.arrays().items():
        assert torch.equal(array, other.items.arrays()[name])
    shares = [recommender.network.memory.shares.toarray() for recommender in (one, other) if recommender.network.memory.shares is not None]
    assert len(shares) in (0, 2)
    assert np.array_equal(shares[:1], shares[1:])
    assert one.info == dataclasses.replace(other.info, popularity=one.info.popularity, artifact=one.info.artifact)
    return list(one.recommend(histories, 20)) == list(other.recommend(histories, 20))


def test_an_added_item_is_a_neighbor_of_what_it_is_like_and_can_stand_in_histories(live):
    before = live.recommender
    item = before.catalog.item_ids[5]
    outcome = live.put(like(before, item, item_id="new"))
    assert dataclasses.asdict(outcome) == {"added": 1, "changed": 0, "unchanged": 0, "removed": 0, "catalog_version": 1}
    now = live.recommender
    assert now.catalog.find("new") == before.catalog.num_items
    assert "new" in [one.item_id for one in now.recommend([[item]], now.catalog.num_items)[0]]
    cosines = now.items.unit[-1] @ now.items.unit.T
    assert item in now.catalog.item_ids[torch.topk(cosines, 6).indices.numpy()]
    assert now.recommend([["new"]], 5, unknown="error")[0] != now.recommend([[]], 5)[0]
    assert "new" not in before.catalog, "who holds the old one goes on with it"


def test_an_added_item_has_shares_in_the_counts_of_the_known_items_nearest_to_it(live):
    before = live.recommender
    item = before.catalog.item_ids[5]
    live.put(like(before, item, item_id="new"))
    now, memory = live.recommender, live.recommender.network.memory
    known = np.flatnonzero(now.info.popularity > 0)
    cosines = now.items.unit[known] @ now.items.unit[-1]
    nearest = known[torch.topk(cosines, NUM_NEIGHBORS).indices.numpy()]
    assert set(memory.shares[[-1]].indices.tolist()) == set(nearest[(now.items.unit[nearest] @ now.items.unit[-1] > 0).numpy()].tolist())
    histories = Histories.from_lists([[row] for row in range(now.catalog.num_items - 1)])
    counted = memory.scores(histories).toarray()
    np.testing.assert_allclose(counted[:, -1], counted[:, nearest] @ memory.shares[[-1]].toarray()[0, nearest])
    assert counted[:, -1].any()


def test_changed_text_moves_an_item_to_the_bucket_of_its_new_text(live):
    recommender = live.recommender
    codes = recommender.semantic_ids.codes
    item, other = recommender.catalog.item_ids[0], recommender.catalog.item_ids[np.flatnonzero((codes != codes[0]).any(1))[0]]
    live.put(like(recommender, other, item_id="twin"))
    outcome = live.put(like(recommender, other, item_id=item))
    assert (outcome.changed, outcome.catalog_version) == (1, 2)
    now = live.recommender.semantic_ids.codes
    assert (now[0] == now[-1]).all(), "the same text, the same bucket"
    assert (now[0] != codes[0]).any()


def test_a_warm_item_keeps_what_training_knows_of_it_when_its_text_changes(live):
    recommender = live.recommender
    warm = int(recommender.info.popularity.argmax())
    item, other = recommender.catalog.item_ids[warm], recommender.catalog.item_ids[(warm + 7) % 48]
    live.put(like(recommender, other, item_id=item))
    live.put(like(recommender, other, item_id="twin"))
    now = live.recommender.items
    assert now.direct_bias[warm] == recommender.items.direct_bias[warm]
    assert now.direct_bias[-1] != now.direct_bias[warm], "a new item of the same text has the regression's"
    assert not torch.equal(now.vectors[-1], now.vectors[warm])


def test_an_attribute_that_is_no_text_moves_nothing(tmp_path):
    items, interactions = small_world()
    items = items.append_column("stock", pa.array(range(48)))
    config = small_config(data={"text_template": "{title}"})
    pipeline.fit(items, interactions, tmp_path / "run", config, RunOptions())
    live = open_live_catalog(tmp_path / "run" / "artifact", "a test")
    before, item = live.recommender, live.recommender.catalog.item_ids[4]
    assert live.put(like(before, item, stock=99)).changed == 1
    live.close()
    now = live.recommender
    assert record(now, item)["stock"] == 99
    assert torch.equal(now.items.vectors, before.items.vectors)
    assert (now.semantic_ids.codes == before.semantic_ids.codes).all()


def test_what_says_nothing_new_is_not_written(live, artifact):
    item = live.recommender.catalog.item_ids[3]
    size = (artifact / "changes" / "log").stat().st_size
    outcome = live.put(like(live.recommender, item))
    assert (outcome.unchanged, outcome.catalog_version) == (1, 0)
    assert (artifact / "changes" / "log").stat().st_size == size


def test_what_was_removed_comes_back_when_it_is_put_again(live):
    item = live.recommender.catalog.item_ids[3]
    table = like(live.recommender, item)
    assert live.remove([item, item]).removed == 1
    with pytest.raises(DataError, match="1 of the items to remove are removed already"):
        live.remove([item])
    assert live.put(table).changed == 1
    assert live.recommender.catalog.is_listed.all()


def changes_of_every_kind(live):
    """Items added, changed, added again and removed, in several changes."""
    ids = live.recommender.catalog.item_ids.tolist()
    first = live.recommender
    live.put(pa.concat_tables([like(first, ids[1], item_id="new1"), like(first, ids[2], item_id="new2")]))
    live.remove([ids[6], "new1"])
    live.put(like(first, ids[9], item_id=ids[4]))
    live.put(pa.concat_tables([like(first, ids[7], item_id="new3"), like(first, ids[7], item_id="new2")]))
    live.remove([ids[4]])
    live.put(pa.concat_tables([like(first, ids[11], item_id="new1"), like(first, ids[12], item_id=ids[6])]))


def test_a_replay_gives_what_the_changes_gave_one_by_one_at_every_version(live, artifact):
    versions = [live.recommender]
    put, remove = live.put, live.remove
    live.put = lambda items: (put(items), versions.append(live.recommender))
    live.remove = lambda ids: (remove(ids), versions.append(live.recommender))
    changes_of_every_kind(live)
    assert len(versions) == 7
    for version, recommender in enumerate(versions):
        assert same_recommender(recommender, load_artifact(artifact, catalog_version=version))
    assert same_recommender(versions[-1], load_artifact(artifact))
    with pytest.raises(ArtifactError, match="versions 0 to 6, not 7"):
        load_artifact(artifact, catalog_version=7)


def test_records_with_and_without_stand_ins_are_replayed_as_they_were_made(live, artifact):
    ids = live.recommender.catalog.item_ids.tolist()
    memory = live.recommender.network.memory
    live.recommender.network.memory = None  # so that nothing stands in, as in records from before there were stand-ins
    made = apply_changes(live.recommender, [], CONFIG)
    assert made is live.recommender
    live.put(like(live.recommender, ids[1], item_id="old"))
    live.recommender.network.memory = memory.with_num_items(live.recommender.catalog.num_items)
    live.put(like(live.recommender, ids[2], item_id="young"))
    assert live.recommender.network.memory.shares.nnz > 0
    assert same_recommender(live.recommender, load_artifact(artifact))


def test_an_artifact_opened_again_goes_on_where_it_was(live, artifact):
    changes_of_every_kind(live)
    live.close()
    again = open_live_catalog(artifact, "another test")
    assert same_recommender(live.recommender, again.recommender)
    assert again.put(like(again.recommender, "new3", item_id="new4")).catalog_version == 7
    again.close()
    live._log, _ = LogWriter.open(artifact / "changes", live.recommender.info.artifact, "for the fixture to close")


def test_a_second_writer_is_refused(live, artifact):
    with pytest.raises(ArtifactError, match=r"is being changed by a test \(process"):
        open_live_catalog(artifact, "another test")


def test_what_could_not_be_written_was_not_made(live, monkeypatch):
    before = live.recommender

    def full(payload):
        raise MachineError("The disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(live._log, "append", full)
        with pytest.raises(MachineError):
            live.put(like(before, before.catalog.item_ids[0], item_id="new"))
    assert live.recommender is before


@pytest.mark.parametrize(
    ("wrong", "told"),
    [(["nobody"], "lacks 1 of the items to remove"), ([7], "of type int"), ([], "No item"), ("item-000034", "expected a list of ids")],
)
def test_removing_what_is_not_there_is_refused(live, wrong, told):
    with pytest.raises(DataError, match=told):
        live.remove(wrong)


def test_a_catalog_keeps_at_least_one_item(live):
    with pytest.raises(DataError, match="No item would be left"):
        live.remove(live.recommender.catalog.item_ids.tolist())
    live.remove(live.recommender.catalog.item_ids[1:].tolist())
    left = live.recommender.catalog.item_ids[0]
    assert [item.item_id for item in live.recommender.recommend([["i3"], []], 5, unknown="skip")[1]] == [left]


def test_many_items_at_once_get_what_each_alone_would_get(live, artifact, tmp_path):
    import shutil

    first = live.recommender
    tables = [like(first, item, item_id=f"new-{item}") for item in first.catalog.item_ids[:9]]
    alone = open_live_catalog(shutil.copytree(artifact, tmp_path / "alone", ignore=shutil.ignore_patterns("changes")), "a test")
    live.put(pa.concat_tables(tables))
    for table in tables:
        alone.put(table)
    alone.close()
    assert (live.recommender.semantic_ids.codes == alone.recommender.semantic_ids.codes).all()
    assert torch.allclose(live.recommender.items.vectors, alone.recommender.items.vectors, atol=1e-5)


def test_the_embedder_is_asked_for_new_texts_alone(live, monkeypatch):
    asked = []
    encode = TextEmbedder.encode
    monkeypatch.setattr(TextEmbedder, "encode", lambda self, texts, progress=None: asked.extend(texts) or encode(self, texts, progress))
    live.put(like(live.recommender, live.recommender.catalog.item_ids[0], item_id="new"))
    assert len(asked) == 1
    assert copy.copy(asked) == [live.recommender.catalog.texts[-1]]


def test_all_beams_hold_the_new_items_too(live):
    live.put(like(live.recommender, live.recommender.catalog.item_ids[0], item_id="new"))
    wide = live.recommender.with_settings(**ALL_BEAMS, fill=False, items_per_beam=100)
    assert "new" in [item.item_id for item in wide.recommend([[wide.catalog.item_ids[3]]], 60)[0]]
