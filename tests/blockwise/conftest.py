"""Jobs of small networks on the CPU, and label images in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from napari_unetseg.blockwise.job import BlockJob, JobSpec, Network
from napari_unetseg.blockwise.job_folder import JobFolder
from napari_unetseg.blockwise.local_executor import LocalExecutor
from napari_unetseg.blockwise.network_stage import NetworkStage, PlanStage
from napari_unetseg.blockwise.range_stage import RangeStage
from napari_unetseg.blockwise.run import Executor, run_job
from napari_unetseg.blockwise.stages import Stage
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.selection import ExecutionPlan
from napari_unetseg.inference.backends.torch_backend import TorchBackend
from napari_unetseg.networks import UNet
from napari_unetseg.postprocessing.blocks import Block
from napari_unetseg.segment_options import SegmentOptions
from napari_unetseg.service.loaded_model import BatchShape, LoadedModel
from napari_unetseg.zoo.card import Architecture, Head, ModelCard, WeightsFile

CPU = Device("cpu", "Tests run on the CPU.")
HEADS = (Head(name="foreground"), Head(name="distance"))


def make_card(norm: str = "batch", **fields: Any) -> ModelCard:
    return ModelCard(
        name="tiny",
        display_name="Tiny",
        description="A network for tests.",
        architecture=Architecture(
            name="unet", arguments={"in_channels": 3, "out_channels": 2, "features": [4, 6], "norm": norm}
        ),
        input_channels=3,
        outputs=HEADS,
        decoder="seeded_watershed",
        weights=WeightsFile(sha256="0" * 64),
        licence="CC0-1.0",
        **fields,
    )


def make_model(card: ModelCard, window: int | None = None) -> LoadedModel:
    """A network of random weights, whose answers lie all over 0..1."""
    torch.manual_seed(1)
    arguments = card.architecture.arguments
    network = UNet(3, 2, tuple(arguments["features"]), arguments["norm"])
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight)
    with torch.no_grad():
        for _ in range(20):
            network.train()(torch.rand(2, 3, 64, 64))
    backend = TorchBackend(network.eval(), HEADS, CPU)
    plan = ExecutionPlan("torch", "float32", "Tests.")
    return LoadedModel(card, plan, backend, batch_shape_on=lambda *_: BatchShape(1, window))


class LabelsInMemory:
    """A `LabelTarget`."""

    def __init__(self, stack_shape: tuple[int, ...], shape: tuple[int, int]) -> None:
        self.array = np.zeros((*stack_shape, *shape), np.int32)

    def write_block(self, plane: tuple[int, ...], block: Block, labels: np.ndarray) -> None:
        self.array[*plane, *block] = labels

    def read(self, plane: tuple[int, ...], region: Block) -> np.ndarray:
        return self.array[*plane, *region].copy()


@dataclass
class Jobs:
    """Makes jobs, each in a folder of its own."""

    folder: Path
    made: int = 0

    def __call__(
        self,
        image: Image,
        network: Network,
        *,
        block_side: int = 32,
        folder: Path | None = None,
        is_cancelled: Callable[[], bool] = lambda: False,
        **options: Any,
    ) -> BlockJob:
        self.made += 1
        card, chosen = network.card, SegmentOptions.of(**options)
        return BlockJob(
            folder=JobFolder(folder or self.folder / str(self.made)),
            spec=JobSpec(
                source=None,
                image={},
                model=card.name,
                sha256=card.weights.sha256,
                card_sha256="",
                options=chosen.model_dump(),
                block_side=block_side,
            ),
            image=chosen.plane_of(image, card),
            card=card,
            parameters=chosen.parameters(card),
            target=LabelsInMemory(image.stack_shape, image.shape),
            borrow_network=lambda: network,
            is_cancelled=is_cancelled,
        )


def network_stages(focus: Block | None = None) -> list[Stage]:
    return [RangeStage(), PlanStage(), NetworkStage(focus)]


def run_network(job: BlockJob, executor: Executor | None = None, focus: Block | None = None) -> BlockJob:
    """Go through the stages up to the network's."""
    run_job(job, network_stages(focus), executor or LocalExecutor(), lambda _: None, lambda: False)
    return job


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


class Make:
    """What the tests build themselves."""

    card = staticmethod(make_card)
    model = staticmethod(make_model)
    network_stages = staticmethod(network_stages)
    run_network = staticmethod(run_network)
    labels = LabelsInMemory


@pytest.fixture(scope="session")
def make() -> type[Make]:
    return Make
