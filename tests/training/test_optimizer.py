"""Each kind of parameter learns at its own rate; the optimizer's state goes through names."""

import pytest
import torch
from torch import nn

from cobrarec.training.optimizer import build_optimizer, load_optimizer_tensors, optimizer_tensors, set_rate
from training.small_training import small_config, small_model


def test_every_trained_parameter_is_in_one_group_with_its_rate_and_decay() -> None:
    config = small_config(learning_rate=0.01, weight_decay=0.1, id_embedding_rate_factor=5.0, scale_rate_factor=10.0)
    model = small_model(config)
    optimizer = build_optimizer(model.parameter_groups(), config.training)
    group_of = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert len(group_of) == sum(len(group["params"]) for group in optimizer.param_groups) == len(trained)
    settings = {name: (group_of[id(p)]["lr"], group_of[id(p)]["weight_decay"]) for name, p in model.named_parameters()}
    assert settings["item_encoder.id_embedding.weight"] == (pytest.approx(0.05), 0.0)
    assert settings["dense_scale"] == settings["evidence_gain"] == (pytest.approx(0.1), 0.0)
    assert settings["dense_head.weight"] == (0.01, 0.1)
    assert settings["dense_head.bias"] == settings["code_embedding.weight"] == settings["dense_bias"] == (0.01, 0.0)


def test_the_rate_is_set_relative_to_each_groups_peak() -> None:
    config = small_config(learning_rate=0.01)
    optimizer = build_optimizer(small_model(config).parameter_groups(), config.training)
    set_rate(optimizer, 0.5)
    set_rate(optimizer, 0.1)
    assert sorted({round(group["lr"], 9) for group in optimizer.param_groups}) == [0.001, 0.005, 0.01]


def test_the_state_comes_back_by_name() -> None:
    config = small_config().training
    layers = [nn.Linear(3, 2), nn.Linear(3, 2)]
    first, second = (build_optimizer({"matrices": [layer.weight], "others": [layer.bias]}, config) for layer in layers)
    layers[1].load_state_dict(layers[0].state_dict())
    for _ in range(3):
        layers[0](torch.ones(3)).sum().backward()
        first.step()
    layers[1].load_state_dict(layers[0].state_dict())
    tensors = optimizer_tensors(first, layers[0])
    assert set(tensors) == {f"optimizer/{name}/{key}" for name in ("weight", "bias") for key in ("step", "exp_avg", "exp_avg_sq")}
    load_optimizer_tensors(second, layers[1], {name: value.clone() for name, value in tensors.items()})
    for layer, optimizer in zip(layers, (first, second), strict=True):
        layer.zero_grad()
        layer(torch.arange(3.0)).sum().backward()
        optimizer.step()
    assert torch.equal(layers[0].weight, layers[1].weight)
    assert torch.equal(layers[0].bias, layers[1].bias)
