import pytest

from cobrarec.config import load_config
from cobrarec.errors import DataError
from cobrarec.experiments.datasets import Tables, load_datasets, scaled_config, scaled_tables
from small_experiment import tied_world, write_data
from small_run import small_config


def test_each_data_set_is_read_from_its_folder(tmp_path):
    tables = load_datasets(write_data(tmp_path, "one", "two"), ["two"])
    assert list(tables) == ["two"]
    assert tables["two"].interactions.equals(tied_world(seed=1)[1])


def test_a_missing_data_set_is_named_with_what_is_expected(tmp_path):
    write_data(tmp_path, "one")
    with pytest.raises(DataError, match=r"No file .*two.items\.parquet\. Expected under .* one folder per data set \(one, two\)"):
        load_datasets(tmp_path, ["one", "two"])


def test_a_scaled_data_set_holds_a_share_of_the_users_whole_and_their_items_alone():
    items, interactions = tied_world()
    small = scaled_tables(Tables(items, interactions), 0.1)
    kept = set(small.interactions["user_id"].to_pylist())
    assert len(kept) == 6
    assert small.interactions.to_pylist() == [row for row in interactions.to_pylist() if row["user_id"] in kept]
    named = set(small.interactions["item_id"].to_pylist())
    assert small.items.to_pylist() == [row for row in items.to_pylist() if row["item_id"] in named]
    assert scaled_tables(Tables(items, interactions), 0.1).interactions.equals(small.interactions)


@pytest.mark.parametrize(("epochs", "scale", "left"), [(30, 0.1, 3), (8, 0.1, 2), (1, 0.1, 1), (8, 1.0, 8)])
def test_epochs_shrink_to_two_at_least_where_there_were_two(epochs, scale, left):
    scaled = scaled_config(small_config(training={"num_epochs": epochs}), scale)
    assert scaled.training.num_epochs == left
    assert scaled.semantic_ids.rqvae.num_steps == round(3000 * scale)
    assert scaled.semantic_ids.allow_collapse


def test_a_ranker_without_a_network_has_nothing_to_scale():
    counts = load_config("counts")
    assert scaled_config(counts, 0.1) == counts
