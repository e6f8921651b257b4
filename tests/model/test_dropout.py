import torch

from cobrarec.model.dropout import dropout


def test_the_share_dropped_and_the_mean_are_as_asked():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        out = dropout(torch.ones(401, 999), 0.3, True)
    assert abs(float((out == 0).float().mean()) - 0.3) < 0.005
    assert torch.allclose(out[out != 0], torch.tensor(1 / 0.7), rtol=1e-4)


def test_neighbors_are_dropped_independently():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dropped = (dropout(torch.ones(200_000), 0.5, True) == 0).float()
    for apart in (1, 2, 3, 4, 8):
        assert abs(float((dropped[apart:] * dropped[:-apart]).mean()) - 0.25) < 0.005


def test_nothing_happens_outside_training_or_at_rate_0():
    x = torch.randn(3)
    assert dropout(x, 0.3, False) is x
    assert dropout(x, 0.0, True) is x


def test_the_gradient_takes_the_same_mask():
    x = torch.ones(1000, requires_grad=True)
    with torch.random.fork_rng():
        out = dropout(x, 0.3, True)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())
