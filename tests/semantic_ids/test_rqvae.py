import numpy as np
import pytest
import torch
from reference_rqvae import slow_rqvae_loss
from themed_catalogs import blobs

from cobrarec.config import RqvaeConfig, SemanticIdsConfig
from cobrarec.progress import Silent
from cobrarec.semantic_ids import rqvae
from cobrarec.semantic_ids.rqvae import Rqvae, RqvaeNetwork, nearest_code, restart_dead_codes, rqvae_loss

CONFIG = RqvaeConfig(hidden_dims=(12,), latent_dim=6, num_steps=200, batch_size=64)


def network(num_levels: int = 3) -> RqvaeNetwork:
    generator = torch.Generator().manual_seed(0)
    made = RqvaeNetwork(CONFIG, 8, num_levels, 5)
    made.start(generator)
    with torch.no_grad():
        made.codebooks.normal_(generator=generator)
    return made


@pytest.mark.parametrize("num_levels", [1, 2, 3, 4])
def test_the_loss_is_that_of_the_slow_reference(num_levels: int) -> None:
    net, x = network(num_levels), torch.randn(9, 8, generator=torch.Generator().manual_seed(1))
    output = net(x)
    slow = slow_rqvae_loss(
        net.encoder(x).detach().numpy(), net.codebooks.detach().numpy(), output.reconstruction.detach().numpy(), x.numpy(), 0.25
    )
    assert float(rqvae_loss(output, x, 0.25).detach()) == pytest.approx(slow, rel=1e-4)


def test_the_reconstruction_is_decoded_from_the_codewords() -> None:
    net, x = network(), torch.randn(9, 8, generator=torch.Generator().manual_seed(1))
    output = net(x)
    by_hand = net.decoder(sum(net.codebooks[level][output.codes[:, level]] for level in range(3)))
    assert torch.allclose(output.reconstruction, by_hand, atol=1e-5)


def test_the_gradient_goes_straight_through_to_the_encoder_and_not_into_the_codebooks() -> None:
    net, x = network(), torch.randn(9, 8, generator=torch.Generator().manual_seed(1))
    (net(x).reconstruction - x).square().mean().backward()
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in net.encoder.parameters())
    assert net.codebooks.grad is None or float(net.codebooks.grad.abs().sum()) == 0


def test_the_codebook_term_moves_codewords_and_the_commitment_term_the_encoder() -> None:
    net, x = network(), torch.randn(9, 8, generator=torch.Generator().manual_seed(1))
    output = net(x)
    (output.residuals.detach() - output.codewords).square().sum().backward()
    assert float(net.codebooks.grad.abs().sum()) > 0
    assert net.encoder[0].weight.grad is None
    net.zero_grad()
    output = net(x)
    with_commitment, without = rqvae_loss(output, x, 1.0), rqvae_loss(output, x, 0.0)
    (with_commitment - without).backward()
    assert float(net.encoder[0].weight.grad.abs().sum()) > 0
    assert float(net.codebooks.grad.abs().sum()) == pytest.approx(0, abs=1e-4)


def test_nearest_code_is_the_argmin_of_the_distances() -> None:
    generator = torch.Generator().manual_seed(0)
    x, book = torch.randn(20, 4, generator=generator), torch.randn(6, 4, generator=generator)
    assert torch.equal(nearest_code(x, book), torch.cdist(x, book).argmin(1))


def test_dead_codes_restart_at_residuals_and_the_others_stay() -> None:
    net = network(2)
    optimizer = torch.optim.AdamW(net.parameters())
    x = torch.randn(9, 8, generator=torch.Generator().manual_seed(1))
    rqvae_loss(net(x), x, 0.25).backward()
    optimizer.step()
    used = torch.ones(2, 5, dtype=torch.bool)
    used[1, 3] = False
    before, residuals = net.codebooks.detach().clone(), net(x).residuals.detach()
    assert restart_dead_codes(net, optimizer, used, residuals, torch.Generator().manual_seed(0)) == 1
    after = net.codebooks.detach()
    assert torch.equal(after[used], before[used])
    assert any(torch.equal(after[1, 3], residual) for residual in residuals[:, 1])
    assert float(optimizer.state[net.codebooks]["exp_avg"][1, 3].abs().sum()) == 0


def test_training_brings_dead_codes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def start_far_away(net: RqvaeNetwork, x: torch.Tensor, seed: int) -> None:
        with torch.no_grad():
            net.codebooks.fill_(1000.0)[:, 0] = 0.0

    monkeypatch.setattr(rqvae, "_start_codebooks", start_far_away)
    settings = CONFIG.model_copy(update={"restart_every": 20})
    _, codes = Rqvae.fit(blobs(256, 16)[0], SemanticIdsConfig(num_levels=2, codebook_size=8, rqvae=settings), 0, Silent())
    assert len(np.unique(codes[:, 0])) >= 6


def test_training_lowers_the_error_and_uses_the_codes() -> None:
    x, _ = blobs(256, 16)
    errors = []
    for num_steps in (1, 300):
        settings = CONFIG.model_copy(update={"num_steps": num_steps, "restart_every": 50})
        config = SemanticIdsConfig(num_levels=2, codebook_size=8, rqvae=settings)
        quantizer, codes = Rqvae.fit(x, config, 0, Silent())
        errors.append(((quantizer.decode(codes) - x) ** 2).mean())
    assert errors[1] < 0.5 * errors[0]
    assert len(np.unique(codes[:, 0])) >= 6


def test_nothing_outside_the_seed_decides_and_nothing_outside_changes() -> None:
    x, _ = blobs(64, 8)
    config = SemanticIdsConfig(num_levels=2, codebook_size=4, rqvae=CONFIG)
    torch.manual_seed(1)
    first = Rqvae.fit(x, config, 5, Silent())[0].arrays()
    state = torch.random.get_rng_state()
    torch.manual_seed(2)
    second = Rqvae.fit(x, config, 5, Silent())[0].arrays()
    assert all(np.array_equal(first[name], second[name]) for name in first)
    torch.manual_seed(1)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_progress_hears_of_the_loss() -> None:
    heard: list[tuple[str, float, float, str]] = []

    class Listener(Silent):
        def update(self, label: str, done: float, total: float, note: str = "") -> None:
            heard.append((label, done, total, note))

    x, _ = blobs(64, 8)
    Rqvae.fit(x, SemanticIdsConfig(num_levels=1, codebook_size=4, rqvae=CONFIG), 0, Listener())
    assert heard[-1][:3] == ("RQ-VAE", 200, 200)
    assert heard[-1][3].startswith("loss ")
