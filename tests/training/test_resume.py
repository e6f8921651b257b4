"""A training that is stopped anywhere and resumed gives the same weights, bit for bit."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from cobrarec.config import TextEncoderConfig
from cobrarec.errors import Interrupted, RunError
from cobrarec.model.cobra import Cobra
from training.small_training import Scripted, Stop, assert_same_weights, small_config, stop_at, train_small

NDCG = (0.1, 0.3, 0.2)
NUM_STEPS = 18
Whole = tuple[Cobra, list[dict[str, object]]]


def without_times(records: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{name: value for name, value in record.items() if name not in ("seconds", "interactions_per_second")} for record in records]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """An undisturbed training: the model and the records of its epochs."""
    model, result = train_small(tmp_path_factory.mktemp("whole"), small_config(patience=3), validate=Scripted(*NDCG))
    assert result.num_steps == NUM_STEPS
    return model, without_times(result.epochs)


@pytest.mark.parametrize("step", [1, 6, 7, 17, 18])
def test_killed_after_a_step_with_a_checkpoint_at_every_step(tmp_path: Path, whole: Whole, step: int) -> None:
    config = small_config(patience=3, checkpoint_seconds=1e-9)
    log = tmp_path / "log.jsonl"
    with pytest.raises(Stop):
        train_small(tmp_path / "killed", config, validate=Scripted(*NDCG), on_step=stop_at(step), log_file=log)
    left = Scripted(*NDCG[(step - 1) // 6 :])
    resumed, result = train_small(tmp_path / "killed", config, resume=True, validate=left, log_file=log)
    assert_same_weights(resumed, whole[0])
    assert without_times(result.epochs) == whole[1]
    assert without_times([json.loads(line) for line in log.read_text().splitlines()]) == whole[1]


def test_killed_between_checkpoints_goes_back_to_the_last_one(tmp_path: Path, whole: Whole) -> None:
    config = small_config(patience=3)  # checkpoints at the ends of epochs alone
    with pytest.raises(Stop):
        train_small(tmp_path / "killed", config, validate=Scripted(*NDCG), on_step=stop_at(10))
    resumed, result = train_small(tmp_path / "killed", config, resume=True, validate=Scripted(*NDCG[1:]))
    assert_same_weights(resumed, whole[0])
    assert without_times(result.epochs) == whole[1]


def test_killed_before_any_checkpoint_begins_anew(tmp_path: Path, whole: Whole) -> None:
    config = small_config(patience=3)
    with pytest.raises(Stop):
        train_small(tmp_path / "killed", config, validate=Scripted(*NDCG), on_step=stop_at(4))
    resumed, _ = train_small(tmp_path / "killed", config, resume=True, validate=Scripted(*NDCG))
    assert_same_weights(resumed, whole[0])


def test_killed_again_and_again(tmp_path: Path) -> None:
    config = small_config(checkpoint_seconds=1e-9)
    whole, _ = train_small(tmp_path / "whole", config)
    for step in (2, 3, 9, 14):
        with pytest.raises(Stop):
            train_small(tmp_path / "killed", config, resume=True, on_step=stop_at(step))
    resumed, _ = train_small(tmp_path / "killed", config, resume=True)
    assert_same_weights(resumed, whole)


@pytest.mark.parametrize("negatives", ["sampled", "batch"])
def test_sampled_negatives_and_centroids_resume_too(tmp_path: Path, negatives: str) -> None:
    config = small_config(checkpoint_seconds=1e-9)
    loss = config.loss.model_copy(update={"dense_negatives": negatives, "direct_negatives": negatives, "num_sampled": 5})
    model = config.model.model_copy(update={"item_evidence": "centroids", "exact_catalog_limit": 10, "num_centroids": 2})
    config = config.model_copy(update={"loss": loss, "model": model})
    whole, _ = train_small(tmp_path / "whole", config)
    with pytest.raises(Stop):
        train_small(tmp_path / "killed", config, on_step=stop_at(8))
    resumed, _ = train_small(tmp_path / "killed", config, resume=True)
    assert_same_weights(resumed, whole)


def test_the_text_encoder_resumes_too_from_a_step_drawn_by_seed(tmp_path: Path) -> None:
    config = small_config(checkpoint_seconds=1e-9)
    encoder = TextEncoderConfig(num_heads=2, feedforward_dim=16, dropout=0.2)
    item = config.model.item.model_copy(update={"kind": "text-encoder", "text_encoder": encoder})
    config = config.model_copy(update={"model": config.model.model_copy(update={"item": item})})
    whole, _ = train_small(tmp_path / "whole", config)
    for number, step in enumerate(np.random.default_rng(5).integers(1, NUM_STEPS, size=3).tolist()):
        with pytest.raises(Stop):
            train_small(tmp_path / f"killed-{number}", config, on_step=stop_at(step))
        resumed, _ = train_small(tmp_path / f"killed-{number}", config, resume=True)
        assert_same_weights(resumed, whole)


def test_ctrl_c_writes_a_checkpoint_and_says_how_to_go_on(tmp_path: Path, whole: Whole) -> None:
    config = small_config(patience=3)
    with pytest.raises(Interrupted, match="step 8 of 18.*Run it again with --resume"):
        train_small(
            tmp_path / "stopped",
            config,
            validate=Scripted(*NDCG),
            on_step=stop_at(8, KeyboardInterrupt),
            resume_hint="Run it again with --resume.",
        )
    assert json.loads((tmp_path / "stopped" / "checkpoint.json").read_text())["step"] == 8
    resumed, _ = train_small(tmp_path / "stopped", config, resume=True, validate=Scripted(*NDCG[1:]))
    assert_same_weights(resumed, whole[0])


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_ctrl_c_in_the_midst_of_the_optimizers_step_waits_for_its_end(
    tmp_path: Path, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(patience=3)
    original, calls = torch.optim.AdamW.step, []

    def step(self, *arguments):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
        calls.append(1)
        if len(calls) == 9:
            signal.raise_signal(signal.SIGINT)
        return original(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(Interrupted, match="step 9 of 18"):
        train_small(tmp_path / "stopped", config, validate=Scripted(*NDCG))
    resumed, _ = train_small(tmp_path / "stopped", config, resume=True, validate=Scripted(*NDCG[1:]))
    assert_same_weights(resumed, whole[0])


def test_ctrl_c_in_a_validation_does_it_again_on_resuming(tmp_path: Path, whole: Whole) -> None:
    config = small_config(patience=3)

    class Impatient(Scripted):
        def __call__(self, model: Cobra) -> dict[str, float]:
            if self.num_calls == 1:
                raise KeyboardInterrupt
            return super().__call__(model)

    with pytest.raises(Interrupted, match="step 12 of 18"):
        train_small(tmp_path / "stopped", config, validate=Impatient(*NDCG))
    resumed, result = train_small(tmp_path / "stopped", config, resume=True, validate=Scripted(*NDCG[1:]))
    assert_same_weights(resumed, whole[0])
    assert without_times(result.epochs) == whole[1]


def test_a_finished_training_resumes_to_its_result_without_work(tmp_path: Path) -> None:
    first, expected = train_small(tmp_path, small_config(patience=3), validate=Scripted(*NDCG))
    again, result = train_small(tmp_path, small_config(patience=3), resume=True, validate=Scripted())
    assert_same_weights(again, first)
    assert result == expected


def test_patience_and_the_best_weights_survive(tmp_path: Path) -> None:
    config = small_config(num_epochs=9, patience=2, checkpoint_seconds=1e-9)
    whole, expected = train_small(tmp_path / "whole", config, validate=Scripted(0.5, 0.1, 0.2))
    with pytest.raises(Stop):
        train_small(tmp_path / "killed", config, validate=Scripted(0.5, 0.1), on_step=stop_at(15))
    resumed, result = train_small(tmp_path / "killed", config, resume=True, validate=Scripted(0.2))
    assert (result.best_epoch, len(result.epochs)) == (expected.best_epoch, 3) == (1, 3)
    assert_same_weights(resumed, whole)


def test_a_checkpoint_is_not_overwritten_without_being_asked(tmp_path: Path) -> None:
    train_small(tmp_path, small_config())
    with pytest.raises(RunError, match="--resume"):
        train_small(tmp_path, small_config())


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    train_small(tmp_path, small_config())
    with pytest.raises(RunError, match=r"training\.learning_rate = 0\.003, now it is 0\.1"):
        train_small(tmp_path, small_config(learning_rate=0.1), resume=True)


def test_the_pace_of_checkpoints_may_change(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train_small(tmp_path, small_config(), on_step=stop_at(3, KeyboardInterrupt))
    _, result = train_small(tmp_path, small_config(checkpoint_seconds=5.0), resume=True)
    assert result.num_steps == NUM_STEPS
