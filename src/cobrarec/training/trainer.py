"""The training loop: steps, epochs, validation, checkpoints.

Every random draw is seeded by the run's seed and the number of the epoch (order of the batches) or step (negatives, dropout), so a
training that is stopped anywhere and resumed gives the same weights, bit for bit, on the same CPU with as many threads; a GPU sums
in an order of its own. A time limit gives that up: how many steps fit is measured.
"""

import math
from collections.abc import Mapping
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cobrarec.config import Config, RunOptions
from cobrarec.data.interactions import Histories
from cobrarec.data.splits import refuse_nothing_to_learn
from cobrarec.errors import ConfigError, Interrupted, RunError
from cobrarec.model.batch import Batch, batches_by_length, training_batch, training_windows
from cobrarec.model.cobra import Cobra
from cobrarec.model.losses import cobra_loss
from cobrarec.training.average import AveragedWeights
from cobrarec.training.checkpoint import read_state, read_tensors, write_checkpoint, write_tensors
from cobrarec.training.epoch_log import append_epoch, restore_epochs
from cobrarec.training.interruption import interruption_deferred
from cobrarec.training.job import JUDGED_BY, TrainingJob, TrainResult, resolve_device
from cobrarec.training.optimizer import build_optimizer, load_optimizer_tensors, optimizer_tensors, set_rate
from cobrarec.training.schedule import Plan, epochs_for, rate_factor, targets_per_step
from cobrarec.training.state import TrainingState, check_settings, settings_of
from cobrarec.training.timetable import MEASURED_STEPS, Timetable

_STEPS_PER_REPLAN = 50
_STEPS_PER_REFRESH = 200  # of what stands for the items below a code in large catalogs
_SECONDS_PER_REPORT = 0.2
_ORDER, _NEGATIVES, _DROPOUT = 0, 1, 2  # streams of random numbers


def train_model(model: Cobra, train: Histories, config: Config, options: RunOptions, job: TrainingJob) -> TrainResult:
    """Train `model` in place until the schedule, the patience or the time ends; it then holds the best weights, in eval mode.

    With `config.training.patience` 0 or without `job.validate` the last weights count as the best.

    Args:
        model: a new model; with `options.resume` the same one as in the training to go on from.
        train: training histories; nothing else is fitted on.
        config: `model`, `loss` and `training` are read.
        options: `seed`, `device` and `resume`; the time limit comes from `job.minutes`.
        job: see `TrainingJob`.

    Raises:
        DataError: no user has two interactions.
        RunError: the folder holds another training, or one with other settings.
        ConfigError: a loss or gradient is not finite; a GPU is asked for and there is none.
        Interrupted: Ctrl-C; a checkpoint is on disk.
    """
    trainer = Trainer(model, train, config, options, job)
    trainer.start(options.resume)
    return trainer.run()


class Trainer:
    """One training; use `train_model`."""

    def __init__(self, model: Cobra, train: Histories, config: Config, options: RunOptions, job: TrainingJob) -> None:
        self._device = resolve_device(options.device)
        self._model = model.to(self._device)
        self._train, self._config, self._job, self._seed = train, config, job, options.seed
        refuse_nothing_to_learn(train)
        self._windows = training_windows(train, config.model.decoder.max_history)
        self._sampling = model.sampling(config.loss)
        self._item_share = self._shares() if config.loss.logq_correction or not self._sampling.whole_catalog else None
        self._optimizer = build_optimizer(model.parameter_groups(), config.training)
        self._average = AveragedWeights(model, config.training.ema_decay)
        num_targets = int(self._windows.num_targets.sum())
        num_taken = int(np.count_nonzero(train.item_counts(self._sampling.semantic_ids.num_items)))
        self._num_epochs = epochs_for(config.training, num_targets, num_taken)
        self._targets_per_step = targets_per_step(config.training, num_targets)
        self._settings = settings_of(config, options.seed, num_targets)
        self._batches = self._batches_of(0)
        num_steps = self._count_steps()
        self._state = TrainingState(Plan(num_steps))
        self._timetable = Timetable(num_steps, job.minutes, validates=job.validate is not None)
        self._committed_at = self._reported_at = monotonic()

    def start(self, resume: bool) -> None:
        """Take up the checkpoint of the folder, or begin anew where there is none."""
        saved = read_state(self._job.folder)
        if saved is None:
            if self._job.log_file is not None:
                restore_epochs(self._job.log_file, [])
            return
        if not resume:
            raise RunError(f"{self._job.folder} holds a training's checkpoint. Go on from it with --resume, or train in another folder.")
        check_settings(saved["settings"], self._settings)
        self._state = TrainingState.from_dict(saved)
        self._load(read_tensors(self._job.folder / saved["tensors"]))
        self._batches = self._batches_of(self._state.epoch)
        if self._job.minutes is None:
            self._state.plan = self._state.plan.with_total(self._state.step, self._timetable.full_steps)
        if self._job.log_file is not None:
            restore_epochs(self._job.log_file, self._state.epochs)

    def run(self) -> TrainResult:
        """Do all that is left to do."""
        devices = [self._device] if self._device.type == "cuda" else []
        try:
            with torch.random.fork_rng(devices=devices):
                while not self._state.finished:
                    if self._state.position == len(self._batches) or self._state.step >= self._state.plan.total_steps:
                        self._end_epoch()
                    else:
                        self._step()
                        self._between_steps()
        except KeyboardInterrupt:
            self._commit()
            raise Interrupted(
                f"Stopped after step {self._state.step} of {self._state.plan.total_steps}; a checkpoint is in {self._job.folder}. "
                + self._job.resume_hint
            ) from None
        return self._result()

    # -- a step -------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """Steps are atomic: an exception before the last block leaves weights and state as they were."""
        state, settings = self._state, self._config.training
        began = monotonic()
        if state.position == 0 or state.step % _STEPS_PER_REFRESH == 0:
            self._model.refresh_evidence()  # nothing to do unless the evidence comes from centroids
        self._model.train()
        batch = self._batch(state.step, self._batches[state.position])
        num_targets = batch.num_targets
        batch = batch.to(self._device)
        losses = cobra_loss(self._model(batch), batch, self._config.loss, self._item_share)
        self._optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), settings.gradient_clip)
        *losses_now, norm_now = torch.stack([*(value.detach() for value in losses.values()), norm]).tolist()  # a GPU is waited for once
        values = dict(zip(losses, losses_now, strict=True))
        self._refuse_non_finite({**values, "gradient norm": norm_now})
        factor = rate_factor(state.plan.phase(state.step), settings.warmup_fraction, settings.final_rate_fraction)
        set_rate(self._optimizer, factor)
        with interruption_deferred():
            self._optimizer.step()
            self._average.update(state.step + 1)
            state.step += 1
            state.position += 1
            state.learning_rate = settings.learning_rate * factor
            state.num_targets += num_targets
            for name, value in values.items():
                state.loss_sums[name] = state.loss_sums.get(name, 0.0) + value * num_targets
            seconds = monotonic() - began
            state.seconds += seconds
            self._timetable.pace.add_step(seconds)

    def _batch(self, step: int, chosen: npt.NDArray[np.int64]) -> Batch:
        dropout_seed = int(np.random.SeedSequence([self._seed, _DROPOUT, step]).generate_state(1, np.uint64)[0] >> 1)
        torch.default_generator.manual_seed(dropout_seed)
        if self._device.type == "cuda":
            torch.cuda.manual_seed(dropout_seed)
        generator = np.random.default_rng([self._seed, _NEGATIVES, step])
        return training_batch(self._train, self._windows, chosen, self._sampling, generator)

    def _refuse_non_finite(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise ConfigError(
                    f"The {name} is {value} at step {self._state.step + 1} (epoch {self._state.epoch + 1}), expected a finite number. "
                    f"Lower training.learning_rate (now {self._config.training.learning_rate}) or training.gradient_clip and train anew."
                )

    def _between_steps(self) -> None:
        state, per_epoch = self._state, len(self._batches)
        is_first_estimate = self._timetable.pace.num_steps == MEASURED_STEPS
        due = is_first_estimate or state.step % _STEPS_PER_REPLAN == 0
        state.plan = self._timetable.fitted(state.plan, state.step, state.position, per_epoch, due)
        if is_first_estimate:
            self._job.progress.message(self._timetable.estimate(state.plan, state.step, per_epoch))
        now = monotonic()
        if now - self._reported_at >= _SECONDS_PER_REPORT:
            self._reported_at = now
            self._job.progress.update("training", self._state.step, self._state.plan.total_steps, self._note())
        if now - self._committed_at >= self._config.training.checkpoint_seconds:
            self._commit()
        if self._job.on_step is not None:
            self._job.on_step(self._state.step)

    # -- an epoch -----------------------------------------------------------------------------------------------

    def _end_epoch(self) -> None:
        """Interrupted before the last block it is done anew; inside that block nothing interrupts."""
        state, settings = self._state, self._config.training
        with self._average.applied():
            self._model.refresh_evidence()
            valid, seconds = self._validate()
            keeps_last = settings.patience == 0 or not valid
            is_best = keeps_last or state.best is None or valid[JUDGED_BY] > state.best["valid"][JUDGED_BY]
            file = f"best-{state.epoch + 1:04d}.safetensors"
            if is_best:
                write_tensors(self._job.folder / file, self._model.state_dict())
        record = self._record(valid, seconds)
        with interruption_deferred():
            if is_best:
                state.best = {"epoch": state.epoch + 1, "file": file, "valid": valid}
            state.epochs.append(record)
            state.epochs_without_gain = 0 if is_best else state.epochs_without_gain + 1
            state.epoch += 1
            state.position, state.num_targets, state.seconds, state.loss_sums = 0, 0, 0.0, {}
            state.plan = self._timetable.fitted(state.plan, state.step, 0, len(self._batches), due=True)
            is_over = state.step >= state.plan.total_steps or state.epoch >= self._num_epochs
            state.finished = is_over or (not keeps_last and state.epochs_without_gain >= settings.patience)
            self._batches = self._batches_of(state.epoch)
            self._commit()
            if self._job.log_file is not None:
                append_epoch(self._job.log_file, record)
        self._tell_epoch(record, is_best)

    def _validate(self) -> tuple[dict[str, float], float]:
        if self._job.validate is None:
            return {}, 0.0
        began = monotonic()
        self._model.eval()
        with torch.no_grad():
            valid = {name: float(value) for name, value in self._job.validate(self._model).items()}
        assert JUDGED_BY in valid, f"validate gave {sorted(valid)}, expected {JUDGED_BY} among them"
        seconds = monotonic() - began
        self._timetable.pace.add_validation(seconds)
        return valid, seconds

    def _record(self, valid: dict[str, float], valid_seconds: float) -> dict[str, Any]:
        state = self._state
        return {
            "event": "epoch",
            "epoch": state.epoch + 1,
            "step": state.step,
            "seconds": state.seconds + valid_seconds,
            "interactions_per_second": state.num_targets / max(state.seconds, 1e-9),
            "learning_rate": state.learning_rate,
            "losses": {name: total / state.num_targets for name, total in state.loss_sums.items()},
            "valid": valid,
        }

    def _batches_of(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        generator = np.random.default_rng([self._seed, _ORDER, epoch])
        return batches_by_length(self._windows, self._targets_per_step, generator)

    def _count_steps(self) -> int:
        """Steps of all epochs; they have equally many unless single windows fill a batch."""
        if 2 * self._windows.num_targets.max() <= self._targets_per_step:
            return self._num_epochs * len(self._batches)
        return sum(len(self._batches_of(epoch)) for epoch in range(self._num_epochs))

    def _shares(self) -> Tensor:
        counts = self._train.item_counts(self._sampling.semantic_ids.num_items)
        return torch.from_numpy(counts / counts.sum()).to(self._device, torch.float32)

    # -- progress -----------------------------------------------------------------------------------------------

    def _note(self) -> str:
        state, per_epoch = self._state, len(self._batches)
        losses = " ".join(f"{name} {total / state.num_targets:.3f}" for name, total in state.loss_sums.items())
        rate = state.num_targets / max(state.seconds, 1e-9)
        epochs = math.ceil(state.plan.total_steps / per_epoch)
        minutes = self._timetable.seconds_left(state.plan, state.step, per_epoch) / 60
        return f"epoch {state.epoch + 1}/{epochs}  {losses}  {rate:,.0f} interactions/s  {minutes:.1f} min left"

    def _tell_epoch(self, record: dict[str, Any], is_best: bool) -> None:
        losses = " ".join(f"{name} {value:.3f}" for name, value in record["losses"].items())
        valid = " ".join(f"{name} {value:.4f}" for name, value in record["valid"].items() if name in ("recall@10", JUDGED_BY))
        judged = f"  valid {valid}{'  (best so far)' if is_best else ''}" if valid else ""
        self._job.progress.message(f"Epoch {record['epoch']}, {record['seconds']:.0f} s: {losses}{judged}")

    # -- on disk ------------------------------------------------------------------------------------------------

    def _commit(self) -> None:
        tensors = {f"model/{name}": value for name, value in self._model.state_dict().items()}
        tensors |= {f"average/{name}": value for name, value in self._average.state().items()}
        tensors |= optimizer_tensors(self._optimizer, self._model)
        keep = frozenset([self._state.best["file"]]) if self._state.best else frozenset()
        write_checkpoint(self._job.folder, {**self._state.to_dict(), "settings": self._settings}, tensors, keep)
        self._committed_at = monotonic()

    def _load(self, tensors: Mapping[str, Tensor]) -> None:
        self._model.load_state_dict(_below("model/", tensors))
        self._average.load_state(_below("average/", tensors))
        load_optimizer_tensors(self._optimizer, self._model, tensors)

    def _result(self) -> TrainResult:
        done, asked = self._state.step, self._timetable.full_steps
        if self._job.minutes is not None and done < asked and self._state.plan.total_steps < asked:
            has_hardly_learned = done < len(self._batches) and not self._job.begins_trained
            hardly = " That is less than an epoch: the model has hardly learned." if has_hardly_learned else ""
            self._job.progress.message(f"The time limit ended training after {done:,} of {asked:,} steps.{hardly}")
        best = self._state.best
        assert best is not None, "a finished training has ended at least one epoch"
        weights_file = self._job.folder / best["file"]
        self._model.load_state_dict(read_tensors(weights_file))
        self._model.eval()
        return TrainResult(best["epoch"], best["valid"], self._state.epochs, self._state.step, weights_file)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
