"""The training loop: data set and recipe in, best validated weights out."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.training.dataset import Sample
from napari_unetseg.training.losses import segmentation_loss
from napari_unetseg.training.recipe import Recipe
from napari_unetseg.training.sampling import draw_batch
from napari_unetseg.training.scores import average_precision, dice
from napari_unetseg.training.state import TrainingState, learning_rate, resume, save, start

HEADS = ("foreground", "distance")
LAST, BEST = "last.pt", "best.pt"
CHECKPOINT_EVERY = 100


def fit(
    training: list[Sample],
    weights: NDArray[np.float64],
    validation: list[Sample],
    recipe: Recipe,
    checkpoints: Path,
    *,
    report: Callable[[str], None] = tqdm.write,
    device: torch.device | None = None,
) -> TrainingState:
    """Train, validate, checkpoint; go on from the last checkpoint where there is one.

    Returns
    -------
    TrainingState
        After the last step. The weights that scored best are in ``checkpoints/best.pt``.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    checkpoints.mkdir(parents=True, exist_ok=True)
    last = checkpoints / LAST
    state = resume(recipe, device, last) if last.exists() else start(recipe, device)
    losses: list[float] = []
    bar = tqdm(total=recipe.steps, initial=state.step, desc="Training", unit="step")
    while state.step < recipe.steps:
        losses.append(train_step(state, *draw_batch(training, weights, recipe, state.step), device))
        bar.update()
        if state.step % recipe.validate_every == 0 or state.step == recipe.steps:
            row = {"step": float(state.step), "loss": float(np.mean(losses)), **validate(state, validation, device)}
            losses.clear()
            if row["ap50"] >= max((past["ap50"] for past in state.history), default=-math.inf):
                torch.save(state.average.module.state_dict(), checkpoints / BEST)
            state.history.append(row)
            report("  ".join(f"{name} {value:.4g}" for name, value in row.items()))
            save(state, last)
        elif state.step % CHECKPOINT_EVERY == 0:
            save(state, last)
    bar.close()
    return state


def train_step(state: TrainingState, pixels: Tensor, targets: Tensor, device: torch.device) -> float:
    """Take one optimiser step and return its loss."""
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(state.recipe, state.step)
    state.network.train()
    pixels = pixels.to(device, memory_format=torch.channels_last)
    with mixed_precision(device):
        logits = state.network(pixels)
    loss = segmentation_loss(logits.float(), targets.to(device))
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    state.optimiser.step()
    state.average.update_parameters(state.network)
    state.step += 1
    return float(loss.detach())


def validate(state: TrainingState, samples: list[Sample], device: torch.device) -> dict[str, float]:
    """Score the averaged weights on whole images: mean Dice and AP@0.5, overall and for each kind."""
    started = time.monotonic()
    rows = []
    for sample in samples:
        probability = probabilities(state.average.module, sample.pixels.float(), device)
        labels = decode(probability, HEADS, state.recipe.parameters)
        rows.append((sample.kind, dice(labels > 0, sample.labels > 0), average_precision(labels, sample.labels)))
    result = {"dice": float(np.mean([r[1] for r in rows])), "ap50": float(np.mean([r[2] for r in rows]))}
    for kind in sorted({row[0] for row in rows}):
        result[f"ap50 {kind}"] = float(np.mean([r[2] for r in rows if r[0] == kind]))
    return result | {"seconds": time.monotonic() - started}


@torch.inference_mode()
def probabilities(network: nn.Module, pixels: Tensor, device: torch.device) -> NDArray[np.float32]:
    """Probability maps, float32 (heads, Y, X), of a whole image (C, Y, X)."""
    height, width = pixels.shape[1:]
    grid = 2 ** int(network.depth)  # type: ignore[arg-type]
    whole = functional.pad(pixels.expand(3, -1, -1)[None], (0, -width % grid, 0, -height % grid), mode="replicate")
    network.eval()
    with mixed_precision(device):
        logits = network(whole.to(device, memory_format=torch.channels_last))
    map_: NDArray[np.float32] = logits.float().sigmoid()[0, :, :height, :width].cpu().numpy()
    return map_


@contextmanager
def mixed_precision(device: torch.device) -> Iterator[None]:
    """Compute convolutions in bfloat16 where the device is faster at it."""
    # Without these instructions a CPU emulates bfloat16, many times slower than float32.
    enabled = device.type == "cuda" or (device.type == "cpu" and torch.cpu._is_avx512_bf16_supported())
    with torch.autocast(device.type, torch.bfloat16, enabled=enabled):
        yield
