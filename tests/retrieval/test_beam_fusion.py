import math

import numpy as np
import pytest
import torch
from reference_retrieval import fused_scores

from cobrarec.retrieval.beam_fusion import FusionSettings, fuse, segment_logsumexp
from cobrarec.retrieval.item_index import Candidates

READINGS = ["bucket", "candidates", "all"]


def _candidates(buckets):
    """One pair per bucket; a bucket is a list of (row, similarity)."""
    sizes = torch.tensor([len(bucket) for bucket in buckets])
    flat = [pair for bucket in buckets for pair in bucket]
    return Candidates(
        offsets=torch.nn.functional.pad(sizes.cumsum(0), (1, 0)),
        pairs=torch.repeat_interleave(torch.arange(len(buckets)), sizes),
        rows=torch.tensor([row for row, _ in flat], dtype=torch.int64),
        similarities=torch.tensor([similarity for _, similarity in flat], dtype=torch.float32),
    )


def _settings(reading="bucket", tau=1.0, psi=1.0, num_nearest=None):
    return FusionSettings(tau=tau, psi=psi, items_per_beam=num_nearest, similarity_softmax=reading)


def _phi(candidates, log_probs, settings, **more):
    fused, _ = fuse(candidates, torch.tensor(log_probs, dtype=torch.float32), settings, **more)
    return torch.exp(fused.log_scores(candidates)).tolist()


# Two beams with probabilities 0.6 and 0.2, so the first softmax (tau = 1) is 3/4 and 1/4.
# Beam 0 has items 0 and 1 with exp(similarity) 3 and 1, beam 1 items 2, 3, 4 with 2, 1, 1.
HAND = _candidates([[(0, math.log(3)), (1, 0.0)], [(2, math.log(2)), (3, 0.0), (4, 0.0)]])
HAND_LOG_PROBS = [[math.log(0.6), math.log(0.2)]]


def test_the_bucket_reading_by_hand():
    expected = [3 / 4 * 3 / 4, 3 / 4 * 1 / 4, 1 / 4 * 2 / 4, 1 / 4 * 1 / 4, 1 / 4 * 1 / 4]
    assert _phi(HAND, HAND_LOG_PROBS, _settings("bucket")) == pytest.approx(expected)


def test_the_bucket_reading_does_not_depend_on_n():
    expected = [3 / 4 * 3 / 4, 0, 1 / 4 * 2 / 4, 0, 0]
    assert _phi(HAND, HAND_LOG_PROBS, _settings("bucket", num_nearest=1)) == pytest.approx(expected)


def test_the_candidates_reading_by_hand():
    expected = [3 / 4 * 3 / 4, 3 / 4 * 1 / 4, 1 / 4 * 2 / 3, 1 / 4 * 1 / 3, 0]
    assert _phi(HAND, HAND_LOG_PROBS, _settings("candidates", num_nearest=2)) == pytest.approx(expected)


def test_the_all_reading_by_hand():
    expected = [3 / 4 * 3 / 8, 3 / 4 * 1 / 8, 1 / 4 * 2 / 8, 1 / 4 * 1 / 8, 1 / 4 * 1 / 8]
    assert _phi(HAND, HAND_LOG_PROBS, _settings("all")) == pytest.approx(expected)


def test_tau_and_psi_by_hand():
    # tau = 2 makes the first softmax .36 / .40 and .04 / .40, psi = 2 squares the exponentials: 9, 1 and 4, 1, 1
    expected = [0.9 * 0.9, 0.9 * 0.1, 0.1 * 4 / 6, 0.1 / 6, 0.1 / 6]
    assert _phi(HAND, HAND_LOG_PROBS, _settings(tau=2.0, psi=2.0)) == pytest.approx(expected)


def test_tau_and_psi_of_zero_are_flat():
    assert _phi(HAND, HAND_LOG_PROBS, _settings(tau=0.0, psi=0.0)) == pytest.approx([1 / 4, 1 / 4, 1 / 6, 1 / 6, 1 / 6])


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("num_nearest", [None, 1, 3])
def test_fusion_of_a_batch_is_the_slow_version_for_each_user(reading, num_nearest):
    random = np.random.default_rng(3)
    buckets, row = [], 0
    for _ in range(4 * 3):
        size = int(random.integers(0, 6))
        buckets.append([(row + i, float(random.normal())) for i in range(size)])
        row += size
    log_probs = random.normal(size=(4, 3)).astype(np.float32)
    struck = set(random.choice(row, row // 3, replace=False).tolist())
    candidates = _candidates(buckets)
    allowed = torch.tensor([int(r) not in struck for r in candidates.rows])
    settings = _settings(reading, tau=0.7, psi=2.5, num_nearest=num_nearest)
    fused, _ = fuse(candidates, torch.from_numpy(log_probs), settings, allowed)
    fast = {int(r): s for r, s in zip(candidates.rows, fused.log_scores(candidates).tolist(), strict=True) if s != -math.inf}
    slow = {}
    for user in range(4):
        own = [dict(bucket) for bucket in buckets[3 * user : 3 * user + 3]]
        slow |= fused_scores(own, log_probs[user].tolist(), 0.7, 2.5, num_nearest, reading, struck)
    assert fast == pytest.approx(slow, abs=1e-5)


@pytest.mark.parametrize("reading", READINGS)
def test_filters_strike_out_and_move_no_other_score(reading):
    whole = _phi(HAND, HAND_LOG_PROBS, _settings(reading))
    allowed = torch.tensor([True, False, True, False, True])
    filtered = _phi(HAND, HAND_LOG_PROBS, _settings(reading), allowed=allowed)
    assert filtered == pytest.approx([score if keep else 0 for score, keep in zip(whole, allowed.tolist(), strict=True)])


@pytest.mark.parametrize("reading", READINGS)
def test_given_normalizers_replace_the_own_ones(reading):
    one = _candidates([[(0, math.log(3)), (1, 0.0)]])
    _, normalizers = fuse(HAND, torch.tensor(HAND_LOG_PROBS), _settings(reading))
    alone = _phi(one, [HAND_LOG_PROBS[0][:1]], _settings(reading), normalizers=normalizers)
    assert alone == pytest.approx(_phi(HAND, HAND_LOG_PROBS, _settings(reading))[:2])


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_beams_without_items_and_missing_beams_make_no_nan(reading, tau):
    candidates = _candidates([[(0, 0.5), (1, -math.inf)], [], [(2, -math.inf)], []])
    fused, _ = fuse(candidates, torch.tensor([[-1.0, -math.inf], [-1.0, -math.inf]]), _settings(reading, tau=tau, psi=0.0))
    scores = fused.log_scores(candidates)
    assert not torch.isnan(scores).any()
    assert scores.tolist() == pytest.approx([0.0, -math.inf, -math.inf])


def test_segment_logsumexp_is_logsumexp_of_each_segment():
    values = torch.randn(50, dtype=torch.float64) * 200
    segments = torch.sort(torch.randint(0, 7, (50,))).values
    segments[segments == 3] = 4
    expected = [torch.logsumexp(values[segments == s], 0).item() for s in range(7)]
    assert segment_logsumexp(values, segments, 7).tolist() == pytest.approx(expected)
