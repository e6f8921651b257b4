"""What holds for every quantizer."""

import numpy as np
import pytest
from themed_catalogs import blobs

from cobrarec.config import SemanticIdsConfig
from cobrarec.progress import Silent
from cobrarec.semantic_ids.quantizer import Quantizer, effective_codebook_size
from cobrarec.semantic_ids.residual_kmeans import ResidualKmeans
from cobrarec.semantic_ids.rqvae import Rqvae

QUANTIZERS = [ResidualKmeans, Rqvae]


def config(num_levels: int = 2, codebook_size: int = 8, num_steps: int = 60) -> SemanticIdsConfig:
    small = {"hidden_dims": [16], "latent_dim": 8, "num_steps": num_steps, "batch_size": 64, "restart_every": 20}
    return SemanticIdsConfig.model_validate({"num_levels": num_levels, "codebook_size": codebook_size, "rqvae": small})


@pytest.mark.parametrize("quantizer_class", QUANTIZERS)
@pytest.mark.parametrize("num_levels", [1, 2, 3, 4])
def test_codes_have_one_column_per_level_and_lie_in_the_codebook(quantizer_class: type[Quantizer], num_levels: int) -> None:
    x, _ = blobs(200, 6)
    quantizer, codes = quantizer_class.fit(x, config(num_levels), 0, Silent())
    for given in (codes, quantizer.encode(x[:7]), quantizer.encode(x[:0])):
        assert given.dtype == np.int32
        assert given.shape[1] == num_levels
        assert ((given >= 0) & (given < 8)).all()
    assert quantizer.decode(codes).shape == x.shape


@pytest.mark.parametrize("quantizer_class", QUANTIZERS)
def test_arrays_are_the_whole_state(quantizer_class: type[Quantizer]) -> None:
    x, _ = blobs(150, 6)
    quantizer, codes = quantizer_class.fit(x, config(3), 0, Silent())
    back = quantizer_class.from_arrays(quantizer.arrays(), config(3))
    assert np.array_equal(back.encode(x), quantizer.encode(x))
    assert np.array_equal(back.decode(codes), quantizer.decode(codes))


@pytest.mark.parametrize("quantizer_class", QUANTIZERS)
def test_the_seed_decides(quantizer_class: type[Quantizer]) -> None:
    x, _ = blobs(150, 12)
    one, same, other = (quantizer_class.fit(x, config(), seed, Silent())[1] for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("quantizer_class", QUANTIZERS)
@pytest.mark.parametrize("num_items", [2, 3, 5, 11])
def test_tiny_catalogs_are_quantized(quantizer_class: type[Quantizer], num_items: int) -> None:
    x, _ = blobs(num_items, num_items)
    quantizer, codes = quantizer_class.fit(x, config(4, 128), 0, Silent())
    assert codes.shape == (num_items, 4)
    assert np.isfinite(quantizer.decode(codes)).all()


@pytest.mark.parametrize("quantizer_class", QUANTIZERS)
def test_items_that_are_all_the_same_get_one_id(quantizer_class: type[Quantizer]) -> None:
    _, codes = quantizer_class.fit(np.zeros((60, 4), np.float32), config(), 0, Silent())
    assert len(np.unique(codes, axis=0)) == 1


@pytest.mark.parametrize("quantizer_class", QUANTIZERS)
def test_blobs_are_told_apart_and_reconstructed(quantizer_class: type[Quantizer]) -> None:
    x, which = blobs(320, 8)
    quantizer, codes = quantizer_class.fit(x, config(2, num_steps=300), 0, Silent())
    assert len({(tuple(code), blob) for code, blob in zip(codes[:, :1].tolist(), which, strict=True)}) <= 10
    assert ((x - quantizer.decode(codes)) ** 2).mean() < 0.4 * x.var()


@pytest.mark.parametrize(("num_items", "codes"), [(2, 2), (16, 2), (24, 3), (800, 100), (1024, 128), (1_000_000, 128)])
def test_small_catalogs_get_fewer_codes(num_items: int, codes: int) -> None:
    assert effective_codebook_size(SemanticIdsConfig(codebook_size=128, min_items_per_code=8), num_items) == codes


@pytest.mark.parametrize(
    ("num_items", "codes"),
    [(2, 2), (100, 12), (3_593, 128), (12_101, 128), (100_000, 128), (200_000, 256), (500_000, 512), (1_000_000, 1024)],
)
def test_without_a_given_size_large_catalogs_get_more_codes(num_items: int, codes: int) -> None:
    assert effective_codebook_size(SemanticIdsConfig(), num_items) == codes
