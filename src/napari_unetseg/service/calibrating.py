"""What OpenVINO needs before a model runs: conversion, and images for int8. Imports torch; workers call it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil, prod
from typing import Any

from numpy.typing import NDArray

from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.openvino.int8_store import Calibration, calibration_of
from napari_unetseg.inference.backends.openvino.network_conversion import MODEL_FILE, folder_for
from napari_unetseg.inference.backends.selection import BackendRequest, ExecutionPlan, plan_execution
from napari_unetseg.inference.int8_calibration import calibrate
from napari_unetseg.language import Sentence, joined
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.network_loading import load_own_network
from napari_unetseg.zoo.registry import ModelPackage

MAX_PLANES = 8
"""Planes of a stack that a model is calibrated on, evenly spread."""


def calibrate_package(
    package: ModelPackage,
    images: Sequence[Image | NDArray[Any]],
    progress: Progress | None = None,
    cancel: CancelFlag | None = None,
) -> Calibration:
    """Calibrate a model for int8, as `inference.int8_calibration.calibrate` does. Stacks give some planes.

    Blank images are left out: they say nothing of the ranges of values in the network, and no mask of them can differ.
    """
    planes = [plane for image in images for plane in _planes(Image.of(image)) if plane.varies]
    return calibrate(
        load_own_network(package, Sentence("calibrated for int8")),
        package.card,
        planes,
        progress=progress,
        cancel=cancel,
    )


def needs_conversion(package: ModelPackage, backend_request: BackendRequest, device: str) -> bool:
    """Whether the model will run with OpenVINO on that kind of device, and has to be converted for it first."""
    runs_there = plan_execution(backend_request, package.card, device).backend == "openvino"
    return runs_there and not (folder_for(package.card) / MODEL_FILE).is_file()


def refuse_inexact_int8(plan: ExecutionPlan, card: ModelCard, device: str) -> ExecutionPlan:
    """Return the plan, or one without int8 and with a warning where the masks of the model would suffer from int8.

    Raises
    ------
    NotCalibrated
        If the plan is int8 and the model was never calibrated.
    """
    if plan.precision != "int8":
        return plan
    calibration = calibration_of(card)
    if calibration.accepted:
        return replace(plan, reason=joined([plan.reason, calibration.outcome]))
    other = plan_execution(BackendRequest(plan.backend), card, device)
    instead = Sentence("{precision} was used instead.", precision=other.precision)
    warning = joined([calibration.outcome, instead])
    return replace(other, reason=joined([calibration.outcome, other.reason]), warning=warning)


def _planes(image: Image) -> Iterator[Image]:
    if not image.stack_axes:
        yield image
        return
    step = ceil(prod(image.stack_shape) / MAX_PLANES)
    yield from (plane for place, (_, plane) in enumerate(image.planes()) if place % step == step // 2)
