import dataclasses

import pytest
import torch
from small_models import PAPER, WORDS, small_batch, small_model

from cobrarec.config import LossConfig
from cobrarec.model.gradient_norms import gradient_norms
from cobrarec.model.losses import cobra_loss

BATCH = LossConfig(dense_negatives="batch", direct_negatives="batch", num_sampled=10)
SAMPLED = LossConfig(dense_negatives="sampled", direct_negatives="sampled", num_sampled=10)


@pytest.mark.parametrize("settings", [PAPER, {}])
@pytest.mark.parametrize("loss", [BATCH, SAMPLED])
def test_the_gradient_reaches_the_text_encoder_by_each_way(settings, loss):
    model = small_model(1, item=WORDS, **settings)
    norms = gradient_norms(model, small_batch(model, loss), loss)
    assert set(norms) == {"input", "target", "negative"}
    assert all(norm > 1e-4 for norm in norms.values())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("role", ["input", "target", "negative"])
def test_each_way_alone_moves_the_words_of_its_own_items(role):
    """One user took items 1, 2; another 3, 4. Only item 1 is input to the first target, only 2 is that target."""
    model = small_model(1, item=WORDS, **PAPER)
    batch = small_batch(model, BATCH, lengths=(2, 2))
    first = dataclasses.replace(batch, is_target=torch.tensor([[False, True], [False, False]]))
    encoded = model.encode(first).detach()
    roles = {name: encoded.clone().requires_grad_(name == f"{role}s") for name in ("inputs", "targets", "negatives")}
    loss = cobra_loss(model.predict(first, **roles), first, BATCH)["loss"]
    (gradient,) = torch.autograd.grad(loss, [roles[f"{role}s"]])
    touched = set(first.encoded_rows[gradient.abs().sum(1) > 1e-7].tolist())
    (history, target), others = first.rows[0].tolist(), set(first.rows[1].tolist())
    assert touched == {"input": {history}, "target": {target}, "negative": {history} | others}[role]


def test_the_ways_add_up_to_the_whole_gradient():
    model = small_model(1, item=WORDS)
    batch = small_batch(model, SAMPLED)
    encoded = model.encode(batch)
    roles = [encoded.detach().requires_grad_() for _ in range(3)]
    parts = torch.autograd.grad(cobra_loss(model.predict(batch, *roles), batch, SAMPLED)["loss"], roles)
    whole = torch.autograd.grad(cobra_loss(model.predict(batch, encoded, encoded, encoded), batch, SAMPLED)["loss"], encoded)[0]
    assert torch.allclose(sum(parts), whole, atol=1e-5)


def test_a_detached_way_shows_as_zero():
    model = small_model(1, use_dense=False)
    assert gradient_norms(model, small_batch(model), LossConfig()) == {"input": 0.0, "target": 0.0, "negative": 0.0}
