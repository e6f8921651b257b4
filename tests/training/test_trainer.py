"""The training loop learns, stops, chooses, keeps to its time and leaves the rest of the program alone."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from cobrarec.config import RunOptions, TrainingConfig
from cobrarec.data.interactions import Histories
from cobrarec.errors import ConfigError, DataError, Interrupted
from cobrarec.model.batch import training_windows
from cobrarec.model.cobra import Cobra
from cobrarec.training import timetable, trainer
from cobrarec.training.checkpoint import read_tensors
from cobrarec.training.job import TrainingJob
from cobrarec.training.trainer import train_model
from training.small_training import Scripted, assert_same_weights, small_config, small_histories, small_model, stop_at, train_small


class Listener:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.notes: list[str] = []

    def track(self, items, label, total=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        return iter(items)

    def message(self, text: str) -> None:
        self.messages.append(text)

    def update(self, label: str, done: float, total: float, note: str = "") -> None:
        self.notes.append(note)


def test_the_losses_fall(tmp_path: Path) -> None:
    _, result = train_small(tmp_path, small_config(num_epochs=4, learning_rate=0.02))
    losses = [record["losses"] for record in result.epochs]
    assert losses[0].keys() == {"loss", "sparse", "dense", "direct"}
    for name in losses[0]:
        assert losses[-1][name] < losses[0][name]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    config = small_config()
    one, _ = train_small(tmp_path / "one", config)
    other, _ = train_small(tmp_path / "other", config)
    assert_same_weights(one, other)
    third = small_model(config)
    train_model(third, small_histories(), config, RunOptions(device="cpu", seed=1), TrainingJob(tmp_path / "third"))
    assert not torch.equal(third.code_embedding.weight, one.code_embedding.weight)


def test_dropout_leaves_the_global_generators_alone_and_does_not_depend_on_them(tmp_path: Path) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, _ = train_small(tmp_path / "one", small_config())
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(99)
        other, _ = train_small(tmp_path / "other", small_config())
    assert_same_weights(one, other)


def test_the_best_epoch_is_kept_and_patience_stops(tmp_path: Path) -> None:
    validate = Scripted(0.1, 0.3, 0.2, 0.3, 0.9)
    model, result = train_small(tmp_path, small_config(num_epochs=9, patience=2), validate=validate)
    assert (result.best_epoch, validate.num_calls, len(result.epochs)) == (2, 4, 4)
    assert result.best_valid == {"ndcg@10": 0.3, "recall@10": 0.5}
    for name, value in read_tensors(result.weights_file).items():
        assert torch.equal(value, model.state_dict()[name])
    two_epochs, _ = train_small(tmp_path / "again", small_config(num_epochs=9, patience=2), validate=Scripted(0.1, 0.3, 0, 0))
    assert_same_weights(model, two_epochs)


def test_patience_zero_trains_all_epochs_and_keeps_the_last(tmp_path: Path) -> None:
    validate = Scripted(0.9, 0.5, 0.1)
    model, result = train_small(tmp_path / "judged", small_config(), validate=validate)
    blind, _ = train_small(tmp_path / "blind", small_config())
    assert (result.best_epoch, validate.num_calls) == (3, 3)
    assert_same_weights(model, blind)


def test_validation_sees_the_averaged_weights_and_changes_nothing(tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []

    def validate(model: Cobra) -> dict[str, float]:
        torch.rand(3)
        model.refresh_evidence()
        seen.append(model.dense_scale.detach().clone())
        return {"ndcg@10": 0.1}

    model, _ = train_small(tmp_path / "judged", small_config(), validate=validate)
    assert torch.equal(seen[-1], model.dense_scale)
    blind, _ = train_small(tmp_path / "blind", small_config())
    assert_same_weights(model, blind)
    plain, _ = train_small(tmp_path / "plain", small_config(ema_decay=0.0))
    assert not torch.equal(plain.dense_scale, model.dense_scale)


def test_steps_read_centroids_of_the_present_vectors_and_the_result_bears_its_own(tmp_path: Path) -> None:
    config = small_config()
    config = config.model_copy(update={"model": config.model.model_copy(update={"exact_catalog_limit": 10, "num_centroids": 2})})
    model, seen = small_model(config), []
    job = TrainingJob(tmp_path, on_step=lambda step: seen.append(model.centroids.get_buffer("mean").clone()))
    train_model(model, small_histories(), config, RunOptions(device="cpu"), job)
    assert seen[0].abs().sum() > 0
    assert torch.equal(seen[1], seen[0])
    assert not torch.equal(seen[6], seen[5]), "another epoch began"
    kept = model.centroids.get_buffer("mean").clone()
    model.refresh_evidence()
    assert torch.equal(model.centroids.get_buffer("mean"), kept)


def test_the_log_has_a_line_per_epoch(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"event": "epoch", "epoch": 1, "of": "an older run"}\n{"event": "prepared"}\n')
    _, result = train_small(tmp_path / "checkpoints", small_config(), log_file=log, validate=Scripted(0.1, 0.2, 0.3))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines == [{"event": "prepared"}, *result.epochs]
    assert [line["epoch"] for line in lines[1:]] == [1, 2, 3]
    assert lines[-1]["step"] == result.num_steps
    assert lines[-1]["valid"] == {"ndcg@10": 0.3, "recall@10": 0.5}
    assert lines[-1].keys() == {"event", "epoch", "step", "seconds", "interactions_per_second", "learning_rate", "losses", "valid"}
    assert lines[1]["learning_rate"] > lines[3]["learning_rate"] > 0


def test_every_target_is_trained_on_once_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    cobra_loss = trainer.cobra_loss

    def spy(output, batch, *rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        rows.extend(output.target_rows.tolist())
        return cobra_loss(output, batch, *rest)

    monkeypatch.setattr(trainer, "cobra_loss", spy)
    train_small(tmp_path, small_config(num_epochs=1))
    histories = small_histories()
    wanted = [row for user in range(histories.num_users) for row in histories.of(user)[1:].tolist()]
    assert sorted(rows) == sorted(wanted)


def test_after_twenty_steps_it_says_how_long_all_will_take(tmp_path: Path) -> None:
    listener = Listener()
    train_small(tmp_path, small_config(num_epochs=5), progress=listener, validate=Scripted(*[0.1] * 5))
    estimates = [text for text in listener.messages if "min left" in text]
    assert len(estimates) == 1
    epochs = [text for text in listener.messages if text.startswith("Epoch")]
    assert "loss" in epochs[0]
    assert "ndcg@10 0.1000" in epochs[0]


def test_progress_tells_losses_rate_and_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "_SECONDS_PER_REPORT", 0.0)
    listener = Listener()
    train_small(tmp_path, small_config(), progress=listener)
    assert all(word in listener.notes[-1] for word in ("epoch 3/3", "sparse", "dense", "interactions/s", "min left"))


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds_per_step: float) -> None:
        self.now = 0.0
        monkeypatch.setattr(trainer, "monotonic", lambda: self.now)
        monkeypatch.setattr(timetable, "monotonic", lambda: self.now)
        cobra_loss = trainer.cobra_loss

        def timed_loss(*arguments):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN202
            self.now += seconds_per_step
            return cobra_loss(*arguments)

        monkeypatch.setattr(trainer, "cobra_loss", timed_loss)

    def validate(self, model: Cobra) -> dict[str, float]:
        self.now += 5.0
        return {"ndcg@10": self.now}


def test_a_time_limit_shortens_the_schedule_and_ends_with_valid_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, seconds_per_step=1.0)
    config = small_config(num_epochs=1000, patience=2)
    model, result = train_small(tmp_path, config, minutes=1.0, validate=clock.validate)
    assert 50.0 < clock.now <= 60.0
    assert result.best_epoch == len(result.epochs) > 2
    assert result.epochs[-1]["learning_rate"] < 0.04 * config.training.learning_rate
    assert all(bool(value.isfinite().all()) for value in model.state_dict().values())


def test_enough_time_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unlimited, _ = train_small(tmp_path / "unlimited", small_config())
    Clock(monkeypatch, seconds_per_step=1.0)
    limited, _ = train_small(tmp_path / "limited", small_config(), minutes=10.0)
    assert_same_weights(limited, unlimited)


def test_slow_steps_are_planned_for_before_twenty_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, seconds_per_step=5.0)
    config = small_config(num_epochs=1000)
    _, result = train_small(tmp_path, config, minutes=1.0)
    assert result.num_steps == 11
    assert clock.now <= 60.0
    assert result.epochs[-1]["learning_rate"] < 0.1 * config.training.learning_rate


def test_resuming_without_a_limit_goes_back_to_the_whole_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch, seconds_per_step=5.0)
    with pytest.raises(Interrupted, match="step 7 of 11"):
        train_small(tmp_path, small_config(), minutes=1.0, on_step=stop_at(7, KeyboardInterrupt))
    _, result = train_small(tmp_path, small_config(), resume=True)
    assert result.num_steps == 18


def test_no_time_at_all_still_gives_a_trained_step(tmp_path: Path) -> None:
    _, result = train_small(tmp_path, small_config(), minutes=1e-9)
    assert result.num_steps == 1
    assert result.weights_file.exists()


@pytest.mark.parametrize("broken", ["sparse", "loss"])
def test_a_loss_that_is_not_finite_is_named_with_its_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    cobra_loss = trainer.cobra_loss
    calls = []

    def spoiled(*arguments):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN202
        calls.append(1)
        losses = cobra_loss(*arguments)
        return {**losses, broken: losses[broken] * math.nan} if len(calls) == 4 else losses

    monkeypatch.setattr(trainer, "cobra_loss", spoiled)
    with pytest.raises(ConfigError, match=f"The {broken} is nan at step 4 .*learning_rate"):
        train_small(tmp_path, small_config())


def test_a_gradient_that_is_not_finite_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *arguments: torch.tensor(math.inf))
    with pytest.raises(ConfigError, match="gradient norm is inf at step 1"):
        train_small(tmp_path, small_config())


def test_nothing_to_learn_from_is_told(tmp_path: Path) -> None:
    config = small_config()
    with pytest.raises(DataError, match="two training interactions"):
        train_model(small_model(config), Histories.from_lists([[1], [2]]), config, RunOptions(), TrainingJob(tmp_path))


def test_a_shorter_batch_than_a_window_is_possible(tmp_path: Path) -> None:
    _, result = train_small(tmp_path, small_config(num_epochs=2, targets_per_batch=9))
    assert len(result.epochs) == 2
    assert result.epochs[-1]["learning_rate"] < 0.01 * small_config().training.learning_rate + 3e-3 * 0.02


def test_few_targets_are_not_one_step(tmp_path: Path) -> None:
    num_targets = int(training_windows(small_histories(), small_config().model.decoder.max_history).num_targets.sum())
    _, result = train_small(tmp_path, small_config(num_epochs=1, targets_per_batch=10**6))
    assert result.num_steps == round(num_targets / 128) > 1


def test_the_rule_of_epochs_counts_the_items_that_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    def counting(settings: TrainingConfig, num_targets: int, num_items: int) -> int:
        counted.append(num_items)
        return 1

    monkeypatch.setattr(trainer, "epochs_for", counting)
    config, train = small_config(), Histories.from_lists([[3, 5, 3, 9]] * 4)
    train_model(small_model(config), train, config, RunOptions(device="cpu"), TrainingJob(tmp_path))
    assert counted == [3]


@pytest.mark.parametrize("what", ["asked for", "unscanned catalog"])
def test_logq_correction_gets_the_shares_of_the_training_interactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    config = small_config(num_epochs=1)
    if what == "asked for":
        config = config.model_copy(update={"loss": config.loss.model_copy(update={"logq_correction": True, "dense_negatives": "batch"})})
    else:
        config = config.model_copy(update={"model": config.model.model_copy(update={"exact_catalog_limit": 10})})
    seen = []
    cobra_loss = trainer.cobra_loss
    monkeypatch.setattr(trainer, "cobra_loss", lambda *arguments: seen.append(arguments[3]) or cobra_loss(*arguments))
    train_small(tmp_path, config)
    counts = small_histories().item_counts(24)
    np.testing.assert_allclose(seen[0], counts / counts.sum(), rtol=1e-5)
