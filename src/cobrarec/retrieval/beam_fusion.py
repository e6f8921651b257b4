"""BeamFusion (eq. 13-14), in logs: log Phi(a) = log softmax(tau * phi)[beam of a] + log softmax(psi * similarity)[a].

Ours -> the paper's: `log_probs` -> phi, `similarity` -> cos(v_hat, a) (plus a trained bias where the model has one), `Fused` -> Phi.

The first softmax runs over the beams. The paper leaves open what the second runs over:
    bucket      all of C(ID) less the history: an exact P(a | ID), whatever N is (the default)
    candidates  the beam's N nearest items
    all         the N nearest items of all M beams together
Filters (`allowed`) only strike items out. They enter no normalizer, and neither does the growth of M: a score depends neither on the length
of the list nor on what else is left out. Every ID has its own items, so each item comes once.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cobrarec.config import RetrievalConfig
from cobrarec.retrieval.item_index import Candidates, nearest_per_pair
from cobrarec.retrieval.ordering import LOG_SCORE_STEP


@dataclass(frozen=True)
class FusionSettings:
    """The numbers and the reading of eq. 14, all resolved."""

    tau: float
    psi: float
    items_per_beam: int | None
    similarity_softmax: Literal["bucket", "candidates", "all"]

    @classmethod
    def of(cls, config: RetrievalConfig, trained_psi: float) -> "FusionSettings":
        """Those of the configuration, with what training made in place of an open psi."""
        psi = trained_psi if config.psi is None else config.psi
        return cls(config.tau, psi, config.items_per_beam, config.similarity_softmax)


@dataclass(frozen=True)
class Normalizers:
    """Per user: log of the first softmax's denominator, and of the second's where it runs over all beams."""

    beams: Float[Tensor, " batch"]
    all_items: Float[Tensor, " batch"]

    def select(self, users: Int[Tensor, " chosen"]) -> "Normalizers":
        """Those of some users."""
        return Normalizers(self.beams[users], self.all_items[users])


def beam_normalizers(log_probs: Float[Tensor, "batch beams"], tau: float) -> Float[Tensor, " batch"]:
    """Log of the first softmax's denominator; log_probs: phi, -inf where a user has fewer beams."""
    return torch.logsumexp(_weighted(log_probs, tau), 1)


def _weighted(log_probs: Float[Tensor, "batch beams"], tau: float) -> Float[Tensor, "batch beams"]:
    return torch.where(torch.isfinite(log_probs), tau * log_probs.double(), -torch.inf)


@dataclass(frozen=True)
class Fused:
    """log Phi in its two parts; their sum is -inf where an item is struck out."""

    log_beam: Float[Tensor, " num_pairs"]
    log_similarity: Float[Tensor, " num_candidates"]
    logits: Float[Tensor, " num_candidates"]

    def log_scores(self, candidates: Candidates) -> Float[Tensor, " num_candidates"]:
        """log Phi, float64."""
        return self.log_beam.index_select(0, candidates.pairs) + self.log_similarity


def segment_logsumexp(values: Float[Tensor, " n"], segments: Int[Tensor, " n"], num_segments: int) -> Float[Tensor, " num_segments"]:
    """log of the sum of exp(values) in each segment; -inf where it is empty or holds -inf only."""
    peak = torch.full((num_segments,), -torch.inf, dtype=values.dtype, device=values.device)
    peak = peak.scatter_reduce_(0, segments, values, "amax")
    peak = torch.where(torch.isfinite(peak), peak, 0.0)
    total = torch.zeros_like(peak).index_add_(0, segments, torch.exp(values - peak.index_select(0, segments)))
    return total.log() + peak


def fuse(
    candidates: Candidates,
    log_probs: Float[Tensor, "batch beams"],
    settings: FusionSettings,
    allowed: Bool[Tensor, " num_candidates"] | None = None,
    normalizers: Normalizers | None = None,
) -> tuple[Fused, Normalizers]:
    """Score the candidates of each user's beams.

    Args:
        candidates: what was found for the pairs (user, beam), users first; struck out: what the history removes.
        log_probs: phi, -inf where a user has fewer beams.
        settings: tau, psi, N and the reading of the second softmax.
        allowed: False at items that filters strike out.
        normalizers: of the search without filters and with the configured M; None where this is that search.

    Returns:
        The parts of log Phi in float64, and the normalizers that were used.
    """
    batch, beams = log_probs.shape
    finite = torch.isfinite(candidates.similarities)
    logits = torch.where(finite, settings.psi * candidates.similarities.double(), -torch.inf)
    ranked = torch.round(logits / LOG_SCORE_STEP)
    limit = settings.items_per_beam
    nearest = logits if limit is None else torch.where(nearest_per_pair(candidates, ranked, limit), logits, -torch.inf)
    phi = _weighted(log_probs, settings.tau)
    users = candidates.pairs // beams
    if normalizers is None:
        joint = settings.similarity_softmax == "all"
        over_all = segment_logsumexp(nearest, users, batch) if joint else torch.zeros_like(phi[:, 0])
        normalizers = Normalizers(beams=beam_normalizers(log_probs, settings.tau), all_items=over_all)
    if settings.similarity_softmax == "all":
        denominator = normalizers.all_items[users]
    else:
        domain = logits if settings.similarity_softmax == "bucket" else nearest
        denominator = segment_logsumexp(domain, candidates.pairs, candidates.num_pairs).index_select(0, candidates.pairs)
    if allowed is not None:
        logits = torch.where(allowed, logits, -torch.inf)
        ranked = torch.where(allowed, ranked, -torch.inf)
    if limit is not None:
        logits = torch.where(nearest_per_pair(candidates, ranked, limit), logits, -torch.inf)
    log_similarity = torch.where(torch.isfinite(logits), logits - denominator, -torch.inf)
    log_beam = torch.where(torch.isfinite(phi), phi - normalizers.beams[:, None], -torch.inf).view(-1)
    return Fused(log_beam=log_beam, log_similarity=log_similarity, logits=logits), normalizers
