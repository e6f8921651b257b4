"""AdamW over groups of parameters that differ in learning rate and decay, and its state as named tensors."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cobrarec.config import TrainingConfig

STATE_PREFIX = "optimizer/"


def build_optimizer(groups: Mapping[str, list[nn.Parameter]], config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW; each group remembers its peak rate as `peak_rate`.

    Args:
        groups: `Cobra.parameter_groups()`. `matrices` decay, `others` (embeddings, biases, norms) do not; `id_embeddings` learn at
            `id_embedding_rate_factor` times the rate, `scales` (temperatures, gains) at `scale_rate_factor` times, without decay.
        config: rates, decay, betas.
    """
    rate = config.learning_rate
    settings = {
        "matrices": (rate, config.weight_decay),
        "others": (rate, 0.0),
        "id_embeddings": (rate * config.id_embedding_rate_factor, 0.0),
        "scales": (rate * config.scale_rate_factor, 0.0),
    }
    assert groups.keys() <= settings.keys(), f"unknown parameter groups {groups.keys() - settings.keys()}"
    made = [
        {"params": groups[name], "lr": peak, "peak_rate": peak, "weight_decay": decay}
        for name, (peak, decay) in settings.items()
        if groups.get(name)
    ]
    return torch.optim.AdamW(made, betas=config.betas, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's learning rate to `factor` times its peak."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_rate"] * factor


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The optimizer's state as named tensors: `optimizer/PARAMETER/KEY`."""
    return {
        f"{STATE_PREFIX}{name}/{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Go on from what `optimizer_tensors` gave."""
    parameters = dict(model.named_parameters())
    for full_name, value in tensors.items():
        if full_name.startswith(STATE_PREFIX):
            name, key = full_name.removeprefix(STATE_PREFIX).rsplit("/", 1)
            parameter = parameters[name]
            optimizer.state[parameter][key] = value.to(parameter.device)
