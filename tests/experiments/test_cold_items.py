import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from cobrarec import pipeline
from cobrarec.config import RunOptions
from cobrarec.data.catalog import Catalog
from cobrarec.data.interactions import read_interactions
from cobrarec.errors import DataError
from cobrarec.experiments.cold_items import cold_users, hold_out_items
from cobrarec.experiments.datasets import Tables
from cobrarec.prepared import load_prepared
from cobrarec.run_folder import RunFolder
from small_run import differing, small_config, small_world


@pytest.fixture(scope="module")
def tables():
    return Tables(*small_world())


@pytest.fixture(scope="module")
def held_out(tables):
    return hold_out_items(tables, 0.2, seed=0)


def ids(table):
    return set(table["item_id"].to_pylist())


def otherwise_told(tables, held_out):
    """The same world, but the held-out items have other texts and were taken by other users at other times."""
    gone = pa.array(sorted(ids(held_out.items)))
    is_gone = pc.is_in(tables.items["item_id"], value_set=gone)
    items = tables.items
    for name in items.schema.names[1:]:
        if pa.types.is_string(items.schema.field(name).type):
            other = pc.if_else(is_gone, pa.scalar("a text that no other item has"), items[name])
            items = items.set_column(items.schema.get_field_index(name), name, other)
    kept = tables.interactions.filter(pc.invert(pc.is_in(tables.interactions["item_id"], value_set=gone)))
    users = sorted(set(kept["user_id"].to_pylist()))
    taken = [(user, item, 10**9) for user in users[:20] for item in gone.to_pylist()[:3]]
    more = pa.table(dict(zip(kept.schema.names, zip(*taken, strict=True), strict=True)), schema=kept.schema)
    return Tables(items, pa.concat_tables([more, kept]))


def test_a_seeded_share_of_the_items_leaves_both_tables(tables, held_out):
    assert len(ids(held_out.items)) == 10
    assert ids(held_out.fitted.items) == ids(tables.items) - ids(held_out.items)
    assert ids(held_out.fitted.interactions).isdisjoint(ids(held_out.items))
    again = hold_out_items(Tables(tables.items.take(pa.array(range(48))[::-1]), tables.interactions), 0.2, seed=0)
    assert ids(again.items) == ids(held_out.items)
    assert ids(hold_out_items(tables, 0.2, seed=1).items) != ids(held_out.items)


@pytest.mark.parametrize("share", [0.0, 0.001, 1.0])
def test_a_share_that_holds_out_nothing_or_all_is_refused(tables, share):
    with pytest.raises(DataError, match="expected some to hold out"):
        hold_out_items(tables, share, 0)


def test_nothing_of_a_held_out_item_reaches_fit(tmp_path, tables, held_out):
    changed = otherwise_told(tables, held_out)
    assert not changed.items.equals(tables.items)
    assert not changed.interactions.equals(tables.interactions)
    for name, world in (("one", tables), ("other", changed)):
        fitted = hold_out_items(world, 0.2, seed=0).fitted
        pipeline.fit(fitted.items, fitted.interactions, tmp_path / name, small_config(), RunOptions(test=True))
    assert differing(tmp_path / "one", tmp_path / "other") == set()
    assert differing(tmp_path / "one", tmp_path / "other", "chosen") == set()
    assert (tmp_path / "one/metrics.json").read_bytes() == (tmp_path / "other/metrics.json").read_bytes()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, held_out):
    run = tmp_path_factory.mktemp("prepared") / "run"
    pipeline.prepare(held_out.fitted.items, held_out.fitted.interactions, run, small_config())
    return load_prepared(RunFolder(run))


def grown_catalog(prepared, held_out):
    both = pa.concat_tables([prepared.catalog.table, held_out.items.cast(prepared.catalog.table.schema)])
    return Catalog.from_table(both, prepared.config.data)


def test_targets_are_the_last_interactions_of_the_whole_table(tables, held_out, prepared):
    grown = grown_catalog(prepared, held_out)
    users = cold_users(prepared, grown, tables.interactions)
    whole, _ = read_interactions(tables.interactions, grown, prepared.config.data)
    place = {user: number for number, user in enumerate(whole.user_ids.tolist())}
    gone = ids(held_out.items)
    assert users.is_new.any()
    assert not users.is_new.all()
    for number, user in enumerate(users.test.histories.user_ids.tolist()):
        history = whole.of(place[user])
        assert users.test.histories.of(number).tolist() == history[:-1].tolist()
        assert users.test.targets_of(number).tolist() == history[-1:].tolist()
        assert users.is_new[number] == (grown.item_ids[history[-1]] in gone)


def test_a_known_target_is_held_out_of_the_reduced_table_too(tables, held_out, prepared):
    users = cold_users(prepared, grown_catalog(prepared, held_out), tables.interactions)
    known = users.test.select(~users.is_new)
    assert users.before.histories.user_ids.tolist() == known.histories.user_ids.tolist()
    assert users.before.target_rows.tolist() == known.target_rows.tolist()
    trained = prepared.split.before_test
    place = {user: number for number, user in enumerate(trained.user_ids.tolist())}
    num_items = prepared.catalog.num_items
    for number, user in enumerate(known.histories.user_ids.tolist()):
        history = known.histories.of(number)
        assert users.before.histories.of(number).tolist() == history[history < num_items].tolist()
        assert trained.of(place[user]).tolist() == history[history < num_items].tolist()


def test_users_whose_known_target_is_trained_on_are_not_measured(tables, held_out, tmp_path):
    gone, stays = sorted(ids(held_out.items)), sorted(ids(held_out.fitted.items))
    few = pa.table(
        {"user_id": ["few"] * 3, "item_id": [gone[0], stays[0], stays[1]], "timestamp": [1, 2, 3]},
        schema=tables.interactions.select(["user_id", "item_id", "timestamp"]).schema,
    )
    whole = Tables(tables.items, pa.concat_tables([tables.interactions.select(few.schema.names), few]))
    reduced = hold_out_items(whole, 0.2, seed=0).fitted
    pipeline.prepare(reduced.items, reduced.interactions, tmp_path / "run", small_config())
    prepared = load_prepared(RunFolder(tmp_path / "run"))
    users = cold_users(prepared, grown_catalog(prepared, held_out), whole.interactions)
    assert users.num_left_out == 1
    assert "few" not in users.test.histories.user_ids.tolist()
    assert np.array_equal(users.is_new, users.test.target_rows >= prepared.catalog.num_items)
