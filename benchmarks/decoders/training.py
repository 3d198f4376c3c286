"""Short trainings that differ in nothing but their heads and what these learn."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from decoders.instances import colour_planes
from decoders.ways import Maps, Way
from napari_unetseg.networks import build
from napari_unetseg.training.crop_store import CropStore
from napari_unetseg.training.dataset import Sample
from napari_unetseg.training.loop import MAX_GRADIENT, mixed_precision
from napari_unetseg.training.sampling import draw_batches
from napari_unetseg.training.state import learning_rate
from napari_unetseg.training.training_recipe import TrainingRecipe

CPU = torch.device("cpu")


def coloured(samples: Sequence[Sample]) -> list[Sample]:
    """Give samples planes of colours in place of targets."""
    return [replace(sample, targets=colour_planes(sample.labels)) for sample in samples]


def train(
    way: Way, samples: Sequence[Sample], weights: NDArray[np.float64], recipe: TrainingRecipe, start: Path
) -> tuple[dict[str, Tensor], float]:
    """Train the recipe's network with a way's heads, and return averaged weights and seconds of computing.

    Parameters
    ----------
    samples
        With colours for targets where the way wants them.
    start
        Weights of the same trunk; its last layer stays behind.
    """
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    network = make_network(way, recipe)
    trunk = {name: weight.float() for name, weight in load_file(start).items() if "final_conv." not in name}
    network.load_state_dict(trunk, strict=False)
    blend = get_ema_multi_avg_fn(recipe.average)  # type: ignore[no-untyped-call]
    average = AveragedModel(network, multi_avg_fn=blend, use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=recipe.weight_decay)
    began = time.process_time()
    with closing(draw_batches(CropStore(samples, CPU), weights, recipe, 0)) as batches:
        for step, (pixels, targets) in enumerate(islice(batches, recipe.steps)):
            optimiser.param_groups[0]["lr"] = learning_rate(recipe, step)
            with mixed_precision(CPU):
                logits = network(pixels.to(memory_format=torch.channels_last))
            loss = way.loss(logits.float(), targets, rng)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT)
            optimiser.step()
            average.update_parameters(network)
            if step % 50 == 0:
                print(f"{way.name}, seed {recipe.seed}, step {step}: loss {loss:.3f}", flush=True)  # noqa: T201
    return average.module.state_dict(), time.process_time() - began


def make_network(way: Way, recipe: TrainingRecipe) -> nn.Module:
    """Build the recipe's network with the outputs of a way."""
    arguments = {"in_channels": 3, "out_channels": way.channels, "features": list(recipe.features), "norm": recipe.norm}
    network: nn.Module = build(recipe.architecture, {**arguments, "block": recipe.block})
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


@torch.inference_mode()
def predict(way: Way, network: nn.Module, sample: Sample) -> Maps:
    """Compute the maps of a whole image."""
    pixels = sample.pixels.float().expand(3, -1, -1)[None].contiguous(memory_format=torch.channels_last)
    with mixed_precision(CPU):
        logits = network(pixels)
    return way.read(logits.float()[0])
