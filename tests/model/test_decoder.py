import pytest
import torch
from reference_decoder import states_of

from cobrarec.config import DecoderConfig
from cobrarec.model.decoder import BeamCache, Decoder

DIM = 8


def _decoder(num_types, **settings):
    decoder = Decoder(DecoderConfig(feedforward_dim=12, max_history=5, **settings), DIM, num_types)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return decoder.eval()


def _tokens(*shape, seed=1):
    return torch.randn(*shape, DIM, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("num_types", [1, 2, 3, 5])
@pytest.mark.parametrize("settings", [{}, {"position_embedding": False}, {"relative_bias": False}])
def test_states_equal_those_computed_token_by_token(num_types, settings):
    decoder, x = _decoder(num_types, **settings), _tokens(2, 4, num_types)
    with torch.no_grad():
        states = decoder(x)
        for user in range(2):
            places = [t for t in range(4) for _ in range(num_types)]
            slow = states_of(decoder, list(x[user].flatten(0, 1)), places, list(range(num_types)) * 4)
            assert torch.allclose(states[user].flatten(0, 1), torch.stack(slow), atol=1e-5)


@torch.no_grad()
def test_no_token_sees_a_later_one():
    decoder, x = _decoder(3), _tokens(1, 4, 3)
    before = decoder(x).flatten(0, 2)
    for token in range(12):
        changed = x.clone()
        changed.view(12, DIM)[token] += _tokens(1, seed=token)[0]
        moved = (decoder(changed).flatten(0, 2) - before).abs().amax(1) > 0
        assert not moved[:token].any()
        assert moved[token:].all()


@torch.no_grad()
@pytest.mark.parametrize("num_types", [2, 3, 5])
@pytest.mark.parametrize("settings", [{}, {"position_embedding": False}, {"relative_bias": False}])
def test_prefill_and_extend_equal_one_forward_pass(num_types, settings):
    """Histories of different lengths, beams that branch, change places and number."""
    decoder, x, lengths, num_codes = _decoder(num_types, **settings), _tokens(3, 4, num_types), [4, 1, 3], num_types - 1
    mask = torch.arange(4) < torch.tensor(lengths)[:, None]
    last_state, cache = decoder.prefill(x, mask)
    beams = BeamCache(len(cache.keys), num_codes)
    paths = torch.zeros(3, 1, 0, DIM)
    generator = torch.Generator().manual_seed(7)
    for step in range(num_codes):
        num_beams = 4 - step % 2
        parent = torch.randint(paths.shape[1], (3, num_beams), generator=generator)
        token = _tokens(3, num_beams, seed=step)
        if step:
            beams.select(parent)
        extended = decoder.extend(token, step, cache, beams)
        paths = torch.cat([paths[torch.arange(3)[:, None], parent], token[:, :, None]], 2)
        for user, length in enumerate(lengths):
            for beam in range(num_beams):
                following = torch.zeros(1, num_types, DIM)
                following[0, : step + 1] = paths[user, beam]
                whole = decoder(torch.cat([x[user, :length], following])[None])
                assert torch.allclose(extended[user, beam], whole[0, length, step], atol=1e-5)
                assert torch.allclose(last_state[user], whole[0, length - 1, -1], atol=1e-5)


def test_more_items_than_positions_are_refused():
    with pytest.raises(ValueError, match="at most max_history"):
        _decoder(2)(_tokens(1, 7, 2))


def test_the_bias_gets_its_gradient():
    decoder = _decoder(2)
    decoder(_tokens(2, 4, 2)).pow(2).sum().backward()
    used = decoder.relative_bias.weight.grad.abs() > 0
    assert used[..., :4].sum() == used.sum()  # distances 0 to 3 occur
    assert used[:, 1, 0, 0].all()  # a vector reads its own code
    assert not used[:, 0, 1, 0].any()  # a code never reads its own vector
