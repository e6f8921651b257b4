import numpy as np
import pytest

from cobrarec.artifact import load_artifact, load_new_item_tools
from cobrarec.config import RunOptions
from cobrarec.data.interactions import Histories
from cobrarec.experiments.cold_pretended import pretend_new, without_items
from cobrarec.experiments.datasets import Tables
from cobrarec.experiments.runs import train_run
from cobrarec.model.cold_start import trained_values
from cobrarec.progress import Silent
from cobrarec.run_folder import RunFolder
from cobrarec.semantic_ids.regression import RidgeRegression
from small_run import small_config, small_world


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    options = RunOptions(device="cpu", num_threads=1, resume=True)
    run = RunFolder(tmp_path_factory.mktemp("pretended") / "run")
    return train_run(run, Tables(*small_world()), small_config(), options, {}, Silent())


@pytest.fixture(scope="module")
def pretended(trained):
    return pretend_new(trained, 0.2, "cpu")


@pytest.fixture(scope="module")
def chosen(trained):
    return load_artifact(trained.prepared.run.chosen)


@pytest.fixture(scope="module")
def drawn(pretended, chosen):
    """Rows that are said to be new."""
    return np.flatnonzero((pretended.recommender.info.popularity == 0) & (chosen.info.popularity > 0))


def test_a_seeded_share_of_the_known_items_counts_as_new(trained, pretended, drawn):
    assert len(drawn) == round(0.2 * 48)
    again = pretend_new(trained, 0.2, "cpu")
    assert np.array_equal(again.recommender.info.popularity, pretended.recommender.info.popularity)
    assert pretended.is_new.any()
    assert np.array_equal(pretended.is_new, np.isin(pretended.users.target_rows, drawn))


def test_the_users_are_those_of_validation(trained, pretended):
    assert np.array_equal(pretended.users.target_rows, trained.prepared.split.valid.target_rows)


def test_their_biases_are_predictions_of_a_regression_without_them(trained, pretended, chosen, drawn):
    embeddings = np.load(trained.prepared.run.chosen / "embeddings.npy")
    others = np.setdiff1d(np.arange(48), drawn)
    values = trained_values(chosen.model).numpy()
    regression, _ = RidgeRegression.fit(embeddings[others], values[others])
    predicted = regression.predict(embeddings[drawn])
    items = pretended.recommender.items
    assert items.dense_bias[drawn].numpy() == pytest.approx(predicted[:, 0], abs=1e-5)
    assert items.direct_bias[drawn].numpy() == pytest.approx(predicted[:, 1], abs=1e-5)
    for name, before in chosen.items.arrays().items():
        assert np.array_equal(items.arrays()[name][others].numpy(), before[others].numpy())
        assert not np.allclose(items.arrays()[name][drawn].numpy(), before[drawn].numpy())


def test_their_codes_are_those_of_their_text_and_the_memory_has_nothing_of_them(trained, pretended, chosen, drawn):
    folder = trained.prepared.run.chosen
    expected = chosen.semantic_ids.codes.copy()
    expected[drawn] = load_new_item_tools(folder).assigner.encode(np.load(folder / "embeddings.npy")[drawn])
    assert np.array_equal(pretended.recommender.semantic_ids.codes, expected)
    counts = pretended.recommender.network.memory.counts.toarray()
    assert counts[drawn].sum() == counts[:, drawn].sum() == 0
    assert counts.sum() > 0


def test_histories_lose_some_items_and_keep_the_order_of_the_others():
    histories = Histories.from_lists([[3, 1, 2], [1], [2, 0, 1, 2]], timestamps=[[1, 2, 3], [4], [5, 6, 7, 8]])
    left = without_items(histories, np.array([False, True, False, False]))
    assert [left.of(user).tolist() for user in range(3)] == [[3, 2], [], [2, 0, 2]]
    assert [left.times_of(user).tolist() for user in range(3)] == [[1, 3], [], [5, 6, 8]]
