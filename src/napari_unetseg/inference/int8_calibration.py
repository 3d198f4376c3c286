"""From float32 to int8 by NNCF's post-training quantisation, on images that the model is meant for."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import napari_unetseg
from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.errors import Cancelled, ParameterError, UnetsegError, last_line
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.openvino import nncf_process
from napari_unetseg.inference.backends.openvino.int8_store import Calibration, write_calibration
from napari_unetseg.inference.backends.openvino.network_conversion import (
    MODEL_FILE,
    cached_model,
    folder_for,
    read,
    write_folder,
)
from napari_unetseg.inference.backends.openvino.nncf_process import RECIPE_FILE, WINDOWS_FOLDER
from napari_unetseg.inference.backends.openvino.openvino_backend import OpenVinoBackend
from napari_unetseg.inference.backends.openvino.probe import check_openvino
from napari_unetseg.inference.predict import predict
from napari_unetseg.inference.prediction import PredictOptions
from napari_unetseg.language import Sentence
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.zoo.card import Head, ModelCard

MAX_WINDOWS = 32
"""Windows that the ranges of the activations are read off; more change them no more."""

KEPT = ((1, 1), (2, 2), (2, 4))
"""How many convolutions at the beginning and the end of a network stay in floating point, in the order of trial.

They see the image and decide the mask, so rounding shows most there. Each step costs some of the speed and is taken
only where the one before does not reach `napari_unetseg.inference.backends.openvino.int8_store.MIN_DICE`.
"""

_CONVOLUTIONS = ("Convolution", "ConvolutionBackpropData", "GroupConvolution")
_POLL_SECONDS = 0.1
_CPU = Device("cpu", "OpenVINO runs on the processor.")

Mask = NDArray[np.bool_]


def calibrate(
    network: SegmentationNetwork,
    card: ModelCard,
    images: Sequence[Image],
    *,
    progress: Progress | None = None,
    cancel: CancelFlag | None = None,
) -> Calibration:
    """Bring a model into int8, compare its masks with those in float32, and keep it in the cache folder.

    The images go through the card's normalisation and tiles as if they were to be segmented. What is kept says how the
    comparison went; the model itself is kept only where its masks agree. An earlier calibration is replaced.

    Parameters
    ----------
    network
        In evaluation mode, float32, on the CPU. Taken over.
    card
        Its card.
    images
        Single planes of the kind that the model is to segment; a few that differ do.
    progress
        Called with images done and all that are known so far to be done: each is computed in float32, and in int8
        once for each trial.
    cancel
        Polled before and during each computation.

    Raises
    ------
    Cancelled
        If `cancel` returned True.
    ParameterError
        If there is no image.
    UnetsegError
        If OpenVINO or NNCF is not installed or fails.
    """
    if not images:
        raise ParameterError(Sentence("Calibration needs at least one image. Choose a folder that holds some."))
    check_openvino()
    count = _Count(len(images), progress)
    with tempfile.TemporaryDirectory(prefix="napari-unetseg-int8-") as place:
        work = Path(place)
        model, sample = cached_model(network, card), _Sample(work / WINDOWS_FOLDER)
        plain = _Recording(sample, model, network, card.outputs)
        expected = _masks(images, card, plain, count, cancel)
        plain.unload()
        layers = _convolutions(model)
        for beginning, end in KEPT:
            kept = sorted({*layers[:beginning], *layers[-end:]})
            _quantise(work, model, kept, cancel)
            quantised = OpenVinoBackend(work / MODEL_FILE, network, card.outputs, _CPU, precision="int8")
            masks = _masks(images, card, quantised, count, cancel)
            quantised.unload()
            calibration = _compare(card, images, expected, masks, sample.count, len(layers) - len(kept), len(layers))
            if calibration.accepted:
                break
        _keep(calibration, work, folder_for(card, "int8"))
    return calibration


class _Count:
    """Images computed so far, and those that are known to be."""

    def __init__(self, images: int, progress: Progress | None) -> None:
        self._images, self._progress, self._done = images, progress, 0

    def add(self) -> None:
        self._done += 1
        if self._progress is not None:
            passes = max(2, -(-self._done // self._images))
            self._progress(self._done, passes * self._images)


class _Sample:
    """Windows drawn evenly out of however many there come (reservoir sampling, Vitter 1985), as files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._rng = np.random.default_rng(0)
        self._seen = 0

    @property
    def count(self) -> int:
        return min(self._seen, MAX_WINDOWS)

    def offer(self, window: NDArray[np.float32]) -> None:
        place = self._seen if self._seen < MAX_WINDOWS else int(self._rng.integers(self._seen + 1))
        self._seen += 1
        if place < MAX_WINDOWS:
            np.save(self._folder / f"{place:03}.npy", window[np.newaxis])


class _Recording(OpenVinoBackend):
    """A backend that offers each window that it computes to a sample."""

    def __init__(self, sample: _Sample, file: Path, network: SegmentationNetwork, heads: Sequence[Head]) -> None:
        super().__init__(file, network, heads, _CPU)
        self._sample = sample

    def run(
        self, batch: NDArray[np.float32], cancel: CancelFlag | None = None, out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        for window in batch:
            self._sample.offer(window)
        return super().run(batch, cancel, out)


def _masks(
    images: Iterable[Image], card: ModelCard, backend: OpenVinoBackend, count: _Count, cancel: CancelFlag | None
) -> list[Mask]:
    foreground, masks = card.heads.index("foreground"), []
    for image in images:
        probability = predict(image, card, backend, PredictOptions(cancel=cancel)).probability[foreground]
        masks.append(probability > card.parameters.threshold)
        count.add()
    return masks


def _convolutions(file: Path) -> list[str]:
    """Return the names of a model's convolutions, in order."""
    return [node.get_friendly_name() for node in read(file).get_ordered_ops() if node.get_type_name() in _CONVOLUTIONS]


def _quantise(work: Path, model: Path, kept: Sequence[str], cancel: CancelFlag | None) -> None:
    recipe = {"model": str(model), "kept": list(kept)}
    (work / RECIPE_FILE).write_text(json.dumps(recipe), encoding="utf-8")
    # The line is ours: an interpreter, a module of this package and a folder that was made here.
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", nncf_process.__name__, str(work)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        message = _wait(process, cancel)
    finally:
        process.kill()
        process.communicate()
    if process.returncode != 0:
        raise UnetsegError(
            Sentence(
                "The model could not be brought into int8: {reason}. Choose another precision.",
                reason=last_line(message).rstrip(".") or f"NNCF ended with status {process.returncode}",
            )
        )


def _wait(process: "subprocess.Popen[str]", cancel: CancelFlag | None) -> str:
    while True:
        try:
            return process.communicate(timeout=_POLL_SECONDS)[1]
        except subprocess.TimeoutExpired:
            if cancel is not None and cancel():
                raise Cancelled(Sentence("The calibration was cancelled.")) from None


def _compare(
    card: ModelCard,
    images: Sequence[Image],
    expected: Sequence[Mask],
    masks: Sequence[Mask],
    windows: int,
    in_int8: int,
    layers: int,
) -> Calibration:
    shared = [int(np.count_nonzero(a & b)) for a, b in zip(expected, masks, strict=True)]
    sizes = [int(np.count_nonzero(a)) + int(np.count_nonzero(b)) for a, b in zip(expected, masks, strict=True)]
    scores = [_dice(*pair) for pair in zip(shared, sizes, strict=True)]
    worst = int(np.argmin(scores))
    return Calibration(
        model=card.name,
        weights_sha256=card.weights.sha256,
        dice=_dice(sum(shared), sum(sizes)),
        worst_image=images[worst].name,
        worst_dice=scores[worst],
        images=tuple(image.name for image in images),
        windows=windows,
        in_int8=in_int8,
        layers=layers,
        versions={"napari-unetseg": napari_unetseg.__version__}
        | {name: version(name) for name in ("openvino", "nncf")},
    )


def _dice(shared: int, sizes: int) -> float:
    """Return 2 |A and B| / (|A| + |B|), given the numbers of pixels; 1 where both masks are empty."""
    return 2 * shared / sizes if sizes else 1.0


def _keep(calibration: Calibration, work: Path, folder: Path) -> None:
    def fill(place: Path) -> None:
        if calibration.accepted:
            for ending in (".xml", ".bin"):
                shutil.copy((work / MODEL_FILE).with_suffix(ending), place)
        write_calibration(calibration, place)

    write_folder(folder, fill)
