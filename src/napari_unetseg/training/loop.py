"""The training loop: samples and a recipe in, the best validated weights out."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from napari_unetseg.inference.backends.processor import computes_bfloat16
from napari_unetseg.inference.rescale_decision import diameter_to_rescale_by
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.training.crop_store import CropStore
from napari_unetseg.training.dataset import Sample
from napari_unetseg.training.initial_weights import initialise_weights
from napari_unetseg.training.losses import segmentation_loss
from napari_unetseg.training.sampling import draw_batches
from napari_unetseg.training.scores import annotated_part, score, summarise_scores
from napari_unetseg.training.state import (
    BEST_FILE,
    LAST_FILE,
    TrainingState,
    initial_state,
    learning_rate,
    progress,
    resume_checkpoint,
    save_checkpoint,
    update_average,
)
from napari_unetseg.training.training_recipe import TrainingRecipe

CHECKPOINT_EVERY = 100
VALIDATIONS = 10
"""How many there are at least in a run of which the recipe says how long it takes."""

MAX_GRADIENT = 1.0
"""Norm to which a step's gradient is cut: a crop with odd annotations must not undo the steps before."""


def fit(
    training: Sequence[Sample],
    weights: NDArray[np.float64],
    validation: Sequence[Sample],
    recipe: TrainingRecipe,
    checkpoints: Path,
    *,
    device: torch.device,
    data: str = "",
    on_validation: Callable[[TrainingState], None] = lambda state: None,
    on_step: Callable[[TrainingState, Tensor], None] = lambda state, loss: None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainingState:
    """Train to the end of the recipe's steps, minutes or patience, from the last checkpoint where there is one.

    An exception from one of the functions leaves a checkpoint of what was done before it.

    Parameters
    ----------
    training, weights
        Samples, and how often each is drawn.
    validation
        Samples that are only scored. Without any no weights are better than others, and the last ones are kept.
    checkpoints
        Folder of ``last.pt`` (to go on from) and ``best.pt`` (state dict of the averaged weights
        that scored best so far; those it began with where the recipe takes no step).
    data
        What the samples are of, for the checkpoint; see `napari_unetseg.training.state.set_aside`.
    on_validation
        Called after each validation; the last row of the state's history is the new one. Without samples to score it
        has the loss alone.
    on_step
        Called after each step with its loss, one number on the device: who reads it waits for the step's end.
    stop
        Asked before each step; True ends training after one more validation.

    Raises
    ------
    CheckpointError
        If the checkpoint belongs to another recipe or cannot be read.
    InitialWeightsError, ModelError
        If the weights to start from do not fit the recipe's network, or cannot be read.
    """
    last = checkpoints / LAST_FILE
    state = resume_checkpoint(recipe, device, last) if last.exists() else _start(recipe, device)
    state.data = data
    losses: list[Tensor] = []
    store = CropStore(training, device)
    clock = _Clock(state)
    bar = tqdm(total=recipe.steps, initial=state.step, desc="Training", unit="step", disable=None)

    def validate_now() -> None:
        scores = validate(state, validation, device) if validation else {}
        row = {"step": float(state.step), "loss": float(torch.stack(losses).mean()), **scores}
        losses.clear()
        if scores and row[recipe.metric] > max((past[recipe.metric] for past in state.history), default=-math.inf):
            _save_best(state, checkpoints)
        state.history.append(row)
        clock.tick()
        save_checkpoint(state, last)
        on_validation(state)

    with bar, closing(draw_batches(store, weights, recipe, state.step)) as batches:
        try:
            while progress(recipe, state.step, state.seconds) < 1 and not stalled(state.history, recipe):
                if stop():
                    break
                losses.append(train_step(state, *next(batches), device))
                clock.tick()
                bar.update()
                on_step(state, losses[-1])
                if clock.is_due() or state.step % recipe.validate_every == 0 or state.step == recipe.steps:
                    validate_now()
                elif state.step % CHECKPOINT_EVERY == 0:
                    save_checkpoint(state, last)
        except BaseException:
            if losses:  # since the last validation, which left a checkpoint
                save_checkpoint(state, last)
            raise
        if losses:
            validate_now()
    if not (validation and state.history):
        _save_best(state, checkpoints)
    return state


class _Clock:
    """Adds the time that passes to a state's."""

    def __init__(self, state: TrainingState) -> None:
        self._state = state
        self._before, self._began = state.seconds, time.monotonic()
        self._validated = state.seconds
        self._validations = len(state.history)

    def tick(self) -> None:
        """Note the time."""
        self._state.seconds = self._before + time.monotonic() - self._began
        if len(self._state.history) > self._validations:
            self._validations = len(self._state.history)
            self._validated = self._state.seconds

    def is_due(self) -> bool:
        """Whether enough of the recipe's minutes passed since the last validation for another."""
        minutes = self._state.recipe.minutes
        return minutes is not None and self._state.seconds - self._validated >= 60 * minutes / VALIDATIONS


def _save_best(state: TrainingState, checkpoints: Path) -> None:
    with whole_file(checkpoints / BEST_FILE) as path:
        torch.save(state.average.module.state_dict(), path)


def _start(recipe: TrainingRecipe, device: torch.device) -> TrainingState:
    state = initial_state(recipe, device)
    if recipe.start_from:
        initialise_weights(state, recipe.start_from)
    return state


def stalled(history: Sequence[Mapping[str, float]], recipe: TrainingRecipe) -> bool:
    """Tell whether as many validations as the recipe has patience for brought no better score than the best before."""
    scores = [row[recipe.metric] for row in history if recipe.metric in row]
    return recipe.patience is not None and bool(scores) and len(scores) - 1 - int(np.argmax(scores)) >= recipe.patience


def train_step(state: TrainingState, pixels: Tensor, targets: Tensor, device: torch.device) -> Tensor:
    """Take one optimiser step on a batch and return its loss, without waiting for the device."""
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(state.recipe, state.step, state.seconds)
    state.network.train()
    with fastest_convolutions():
        with mixed_precision(device):
            logits = state.network(pixels.to(device, memory_format=torch.channels_last))
        loss = segmentation_loss(logits.float(), targets.to(device), state.recipe.learnt)
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.network.parameters(), MAX_GRADIENT)
    state.optimiser.step()
    update_average(state.average, state.network, state.recipe.average)
    state.step += 1
    return loss.detach()


def validate(state: TrainingState, samples: Sequence[Sample], device: torch.device) -> dict[str, float]:
    """Score the averaged weights on whole images: mean Dice, AP and AP@0.5, and AP@0.5 of each kind."""
    network, parameters = state.average.module.eval(), state.recipe.parameters
    scores = []
    for sample in tqdm(samples, desc="Validating", unit="image", leave=False, disable=None):
        labels = decode(
            predict_maps(network, sample.pixels.float(), state.recipe, device), state.recipe.heads, parameters
        )
        scores.append(score(*annotated_part(labels, sample.labels), sample.stem, sample.kind))
    summary = summarise_scores(scores)
    kinds = {f"ap50 {kind}": means["ap50"] for kind, means in summary["per_kind"].items()}
    return {name: summary[name] for name in ("dice", "ap", "ap50")} | kinds


def predict_maps(
    network: nn.Module, pixels: Tensor, recipe: TrainingRecipe, device: torch.device
) -> NDArray[np.float32]:
    """Compute maps of the recipe's heads, float32 (heads, Y, X), as segmentation will: if need be by a second run."""
    heads = len(recipe.heads)
    maps = run_network(network, pixels, device)[:heads]
    diameter = diameter_to_rescale_by(maps, recipe)
    if diameter is None or recipe.object_size is None:
        return maps
    factor, shape = recipe.object_size / diameter, pixels.shape[1:]
    size = [max(1, round(length * factor)) for length in shape]
    rescaled = functional.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]
    second = torch.from_numpy(run_network(network, rescaled, device)[:heads])
    back: NDArray[np.float32] = functional.interpolate(second[None], shape, mode="bilinear")[0].numpy()
    return back


@torch.inference_mode()
def run_network(network: nn.Module, pixels: Tensor, device: torch.device) -> NDArray[np.float32]:
    """Compute probability maps, float32 (heads, Y, X), of a whole normalised image (C, Y, X)."""
    height, width = pixels.shape[1:]
    grid = 2 ** int(network.depth)  # type: ignore[arg-type]
    whole = functional.pad(pixels.expand(3, -1, -1)[None], (0, -width % grid, 0, -height % grid), mode="replicate")
    with mixed_precision(device):
        logits = network(whole.to(device, memory_format=torch.channels_last))
    probability: NDArray[np.float32] = logits.float().sigmoid()[0, :, :height, :width].cpu().numpy()
    return probability


@contextmanager
def mixed_precision(device: torch.device) -> Iterator[None]:
    """Compute convolutions in bfloat16 where the device is faster at it."""
    # A CPU without these instructions emulates bfloat16, many times slower than float32.
    enabled = device.type == "cuda" or (device.type == "cpu" and computes_bfloat16())
    with torch.autocast(device.type, torch.bfloat16, enabled=enabled):
        yield


@contextmanager
def fastest_convolutions() -> Iterator[None]:
    """Let a GPU look for the fastest way to convolve: worth it where pixels are of one size, as those of crops are."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
