"""Proof that training is end to end: the gradient that reaches the item encoder through each of an item vector's three roles."""

import torch
from jaxtyping import Float
from torch import Tensor

from cobrarec.config import LossConfig
from cobrarec.model.batch import Batch
from cobrarec.model.cobra import Cobra
from cobrarec.model.losses import cobra_loss


def gradient_norms(
    model: Cobra, batch: Batch, config: LossConfig, item_share: Float[Tensor, " num_items"] | None = None
) -> dict[str, float]:
    """Norms of the loss's gradient over the item encoder's parameters, by the way it comes; no parameter's `grad` changes.

    Returns: `input` (vectors that the decoder reads), `target` (those to be predicted) and `negative` (those it is told apart from;
    in a softmax over whole buckets or the whole catalog this includes the target's own place in the sum).
    """
    with torch.enable_grad():
        encoded = model.encode(batch)
        roles = [encoded.detach().requires_grad_() for _ in range(3)]
        loss = cobra_loss(model.predict(batch, *roles), batch, config, item_share)["loss"]
        by_role = torch.autograd.grad(loss, roles, allow_unused=True)
        parameters = [p for p in model.item_encoder.parameters() if p.requires_grad]
        norms = {}
        for name, gradient in zip(("input", "target", "negative"), by_role, strict=True):
            if gradient is None:
                norms[name] = 0.0
                continue
            parts = torch.autograd.grad(encoded, parameters, gradient, retain_graph=True, allow_unused=True)
            norms[name] = float(torch.stack([part.norm() for part in parts if part is not None]).norm())
    return norms
