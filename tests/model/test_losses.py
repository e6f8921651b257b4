import dataclasses
import math

import numpy as np
import pytest
import reference_losses
import torch
from reference_decoder import predictions
from small_models import PAPER, WORDS, small_batch, small_model

from cobrarec.config import LossConfig
from cobrarec.model.losses import cobra_loss, dense_loss, direct_loss


def _parts(model, **loss):
    config = LossConfig(num_sampled=10, **loss)
    batch = small_batch(model, config)
    return config, batch, model(batch)


def _targets(batch):
    for user, length in enumerate(batch.lengths.tolist()):
        for place in range(length):
            if batch.is_target[user, place]:
                yield batch.rows[user, :place].tolist(), int(batch.rows[user, place])


def _negatives(kind, model, batch, target):
    ids = model.semantic_ids
    in_batch, drawn = batch.rows[batch.mask].tolist(), batch.encoded_rows[batch.drawn].tolist()
    return {
        "batch": in_batch,
        "sampled": in_batch + drawn,
        "catalog": range(ids.num_items),
        "bucket": ids.bucket(int(ids.id_of_row[target])),
    }[kind]


@pytest.mark.parametrize("num_levels", [0, 1, 2, 3, 4])
@pytest.mark.parametrize(("dense", "direct"), [("bucket", "auto"), ("catalog", "catalog"), ("sampled", "sampled"), ("batch", "batch")])
def test_every_loss_equals_its_slow_version(num_levels, dense, direct):
    """From the history of each target alone, read token by token, to the mean of the losses by their equations."""
    model = small_model(num_levels)
    config, batch, output = _parts(model, dense_negatives=dense, direct_negatives=direct)
    items, slow = model.item_vectors(), {"sparse": [], "dense": [], "direct": []}
    with torch.no_grad():
        for history, target in _targets(batch):
            logits, dense_query, direct_query = predictions(model, history, items, target)
            slow["sparse"].append(reference_losses.sparse(logits, model.semantic_ids.codes[target]))
            for name, query, kind in (("dense", dense_query, dense), ("direct", direct_query, direct.replace("auto", "catalog"))):
                scale, bias = float(getattr(model, f"{name}_scale")), getattr(items, f"{name}_bias")
                negatives = _negatives(kind, model, batch, target)
                slow[name].append(reference_losses.contrastive(query, scale, items.vectors, bias, target, negatives))
    found = cobra_loss(output, batch, config)
    assert ("sparse" in found) == (num_levels > 0)
    for name in found.keys() - {"loss"}:
        assert float(found[name].detach()) == pytest.approx(np.mean(slow[name]), abs=2e-4), name
    total = sum(float(found[name].detach()) for name in found.keys() - {"loss"})
    assert float(found["loss"].detach()) == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize("num_levels", [1, 2])
def test_the_papers_model_has_the_papers_two_losses(num_levels):
    model = small_model(num_levels, **PAPER)
    config, batch, output = _parts(model, dense_negatives="batch")
    assert len(batch.encoded_rows) == len(set(batch.rows[batch.mask].tolist()))
    found, items = cobra_loss(output, batch, config), model.item_vectors()
    assert set(found) == {"loss", "sparse", "dense"}
    with torch.no_grad():
        slow = [
            reference_losses.contrastive(
                predictions(model, history, items, target)[1], float(model.dense_scale), items.vectors, items.dense_bias, target,
                batch.rows[batch.mask].tolist(),
            )
            for history, target in _targets(batch)
        ]  # fmt: skip
    assert float(found["dense"].detach()) == pytest.approx(np.mean(slow), abs=1e-4)


def test_without_dense_only_codes_are_predicted():
    model = small_model(2, use_dense=False)
    config, batch, output = _parts(model)
    assert set(cobra_loss(output, batch, config)) == {"loss", "sparse"}
    with torch.no_grad():
        items = model.item_vectors()
        slow = [
            reference_losses.sparse(predictions(model, history, items, target)[0], model.semantic_ids.codes[target])
            for history, target in _targets(batch)
        ]
    assert float(cobra_loss(output, batch, config)["sparse"].detach()) == pytest.approx(np.mean(slow), abs=1e-4)


def test_sums_over_an_unscanned_catalog_are_estimated_from_what_of_it_is_encoded():
    model = small_model(1, exact_catalog_limit=10)
    config, batch, output = _parts(model)
    assert len(batch.encoded_rows) < model.semantic_ids.num_items
    items, ids, encoded = model.item_vectors(), model.semantic_ids, set(batch.encoded_rows.tolist())
    share, num_real = torch.linspace(0.1, 2, ids.num_items) / 42, int(batch.mask.sum())
    assert float(share.sum()) == pytest.approx(1)
    of_catalog = {row: float(share[row]) * num_real + 10 / ids.num_items for row in range(ids.num_items)}
    corrections, in_bucket = {row: math.log(min(1.0, expected)) for row, expected in of_catalog.items()}, {}
    for row, expected in of_catalog.items():
        bucket = ids.bucket(int(ids.id_of_row[row])).tolist()
        in_bucket[row] = math.log(min(1.0, expected + 10 * float(share[bucket].sum()) / len(bucket)))
    dense, direct = [], []
    for t, target in enumerate(output.target_rows.tolist()):
        negatives = encoded & set(ids.bucket(int(ids.id_of_row[target])).tolist())
        assert target in negatives
        query = output.dense_query[t].detach()
        dense.append(reference_losses.contrastive(query, 14.0, items.vectors, items.dense_bias, target, negatives, in_bucket))
        query = output.direct_query[t].detach()
        negatives = _negatives("sampled", model, batch, target)
        direct.append(reference_losses.contrastive(query, 14.0, items.vectors, items.direct_bias, target, negatives, corrections))
    assert float(dense_loss(output, batch, config, share).detach()) == pytest.approx(np.mean(dense), abs=1e-4)
    assert float(direct_loss(output, batch, config, share).detach()) == pytest.approx(np.mean(direct), abs=1e-4)


@pytest.mark.parametrize("kind", ["batch", "sampled"])
def test_logq_takes_off_how_often_a_batch_holds_each_negative(kind):
    model = small_model(1)
    config, batch, output = _parts(model, dense_negatives=kind, direct_negatives=kind, logq_correction=True)
    share = torch.linspace(0.1, 2, model.semantic_ids.num_items)
    share /= share.sum()
    items, num_real, slow = model.item_vectors(), int(batch.mask.sum()), []
    drawn = len(batch.drawn) / 40 if kind == "sampled" else 0.0
    corrections = {row: math.log(min(1.0, float(share[row]) * num_real + drawn)) for row in range(40)}
    for t, target in enumerate(output.target_rows.tolist()):
        query, negatives = output.direct_query[t].detach(), _negatives(kind, model, batch, target)
        slow.append(reference_losses.contrastive(query, 14.0, items.vectors, items.direct_bias, target, negatives, corrections))
    assert float(direct_loss(output, batch, config, share).detach()) == pytest.approx(np.mean(slow), abs=1e-4)
    with pytest.raises(ValueError, match="item_share"):
        direct_loss(output, batch, config)


def test_copies_of_the_target_are_never_its_negatives():
    """A second sequence that holds the first one's target as well changes nothing for it."""
    model = small_model(1, **PAPER)
    config, batch, output = _parts(model, dense_negatives="batch")
    again = dataclasses.replace(batch, **{
        name: torch.cat([getattr(batch, name)] * 2) for name in ("rows", "mask", "is_target", "index")
    })  # fmt: skip
    twice = model(again)
    for loss in ("loss", "dense", "sparse"):
        once = cobra_loss(output, batch, config)[loss].detach()
        assert float(cobra_loss(twice, again, config)[loss].detach()) == pytest.approx(float(once), abs=1e-5)


@pytest.mark.parametrize("negatives", ["bucket", "batch", "sampled", "catalog"])
def test_padding_never_counts(negatives):
    model = small_model(2)
    config, batch, output = _parts(model, dense_negatives=negatives, direct_negatives="batch")
    wide = dataclasses.replace(batch, **{
        name: torch.nn.functional.pad(getattr(batch, name), (0, 1), value=value)
        for name, value in (("rows", 9), ("mask", False), ("is_target", False), ("index", 3))
    })  # fmt: skip
    wide.rows[~wide.mask], wide.index[~wide.mask] = 9, 3  # what stands in padding is nobody's business
    wide = dataclasses.replace(wide, rows=wide.rows[:, :7], mask=wide.mask[:, :7], is_target=wide.is_target[:, :7], index=wide.index[:, :7])
    before = cobra_loss(output, batch, config)
    for name, value in cobra_loss(model(wide), wide, config).items():
        assert float(value.detach()) == pytest.approx(float(before[name].detach()), abs=1e-5)


def test_weights_scale_the_parts():
    model = small_model(1)
    batch = small_batch(model)
    found = cobra_loss(model(batch), batch, LossConfig(sparse_weight=2, dense_weight=0.5, direct_weight=0))
    expected = 2 * found["sparse"] + 0.5 * found["dense"]
    assert torch.allclose(found["loss"], expected)


@pytest.mark.parametrize(
    "settings", [{}, {"item": WORDS}, {"use_dense": False}, {"item_evidence": "centroids"}, {"exact_catalog_limit": 20}]
)
@pytest.mark.parametrize("num_levels", [1, 3])
def test_every_trained_parameter_gets_a_finite_gradient(num_levels, settings):
    model = small_model(num_levels, **settings).train()
    batch = small_batch(model, LossConfig(dense_negatives="sampled", num_sampled=10))
    with torch.random.fork_rng():
        share = torch.full((model.semantic_ids.num_items,), 1 / model.semantic_ids.num_items)
        cobra_loss(model(batch), batch, LossConfig(dense_negatives="sampled"), share)["loss"].backward()
    for name, parameter in model.named_parameters():
        is_read = not (settings == {"use_dense": False} and (name.startswith("item_encoder") or "_scale" in name or "_bias" in name))
        if parameter.requires_grad and is_read and "decoder.relative_bias" not in name:
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.abs().sum() > 0, name
