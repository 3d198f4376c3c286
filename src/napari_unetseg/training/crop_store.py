"""Samples where crops are drawn from: on the device that trains, or in the host's memory where that has no room."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unetseg.training.dataset import Sample
from napari_unetseg.training.targets import TARGETS

SHARE_OF_FREE_MEMORY = 0.5
"""How much of a device's free memory samples may take; training needs the rest."""

OBJECT_PIXELS = 4096
"""Of how many pixels of objects, at most, a sample's crops are laid around one."""


def fits(samples: Sequence[Sample], device: torch.device) -> bool:
    """Tell whether samples leave enough of a device's memory for training."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    needed = sum(plane.nbytes for sample in samples for plane in (sample.pixels, sample.targets))
    return needed <= SHARE_OF_FREE_MEMORY * free


class CropStore:
    """Samples, ready to be cut.

    Attributes
    ----------
    device
        Where crops are made.
    kinds
        Of each sample.
    shapes
        int64 (N, 2): width and height of each sample.
    medians
        float64 (N,): diameter of each sample's median object in pixels, NaN where it has none.
    colourless
        bool (N,): whether all channels of a sample are equal; of such it keeps one.
    glowing
        bool (N,): whether a sample is colourless and its objects are brighter than what is around them.
    """

    def __init__(self, samples: Sequence[Sample], device: torch.device) -> None:
        self.device = device
        self.kinds = [sample.kind for sample in samples]
        self.shapes = np.array([sample.labels.shape[::-1] for sample in samples], np.int64).reshape(-1, 2)
        self.medians = np.array([np.median(s.diameters) if s.diameters.size else np.nan for s in samples])
        self.colourless = np.array([_is_colourless(sample.pixels) for sample in samples], bool)
        self.glowing = self.colourless & np.array([_has_bright_objects(sample) for sample in samples], bool)
        self._on_device = fits(samples, device)
        place = device if self._on_device else torch.device("cpu")
        self._pixels = [
            (sample.pixels[:1] if grey else sample.pixels).to(place)
            for sample, grey in zip(samples, self.colourless, strict=True)
        ]
        self._targets = [sample.targets.to(place) for sample in samples]
        self._labels = [sample.labels for sample in samples]
        self._object_pixels: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return len(self.kinds)

    def cut(self, chosen: NDArray[np.int64], starts: NDArray[np.int64], stops: NDArray[np.int64]) -> list[Tensor]:
        """Cut a window out of each chosen sample: float16 (1 or 3 + 5, Y, X), pixels and targets, on the device.

        Parameters
        ----------
        starts, stops
            (N, 2): x and y where each begins and ends.
        """
        windows = []
        for sample, (left, top), (right, bottom) in zip(chosen.tolist(), starts.tolist(), stops.tolist(), strict=True):
            planes = self._pixels[sample], self._targets[sample]
            windows.append(torch.cat([plane[:, top:bottom, left:right] for plane in planes]))
        return windows if self._on_device else _send(windows, self.device)

    def object_pixels(self, sample: int) -> NDArray[np.int64]:
        """Return x and y of pixels of a sample's objects, (N, 2): all, or so many of them, each as likely as others."""
        if sample not in self._object_pixels:
            labels = self._labels[sample]
            found = np.flatnonzero(labels > 0)
            if len(found) > OBJECT_PIXELS:
                found = np.random.default_rng(sample).choice(found, OBJECT_PIXELS, replace=False)
            rows, columns = np.divmod(found, labels.shape[1])
            self._object_pixels[sample] = np.stack([columns, rows], axis=1)
        return self._object_pixels[sample]


def _is_colourless(pixels: Tensor) -> bool:
    return len(pixels) == 1 or bool((pixels[1:] == pixels[0]).all())


def _has_bright_objects(sample: Sample) -> bool:
    foreground, pixels = sample.targets[TARGETS.index("foreground")], sample.pixels[0].float()
    # Means of nothing are NaN, which nothing is above.
    return bool(pixels[foreground == 1].mean() > pixels[foreground == 0].mean())


def _send(windows: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    # All in one copy, which does not wait for what the device is doing.
    flat = torch.cat([window.flatten() for window in windows]).pin_memory().to(device, non_blocking=True)
    parts = torch.split(flat, [window.numel() for window in windows])
    return [part.view(window.shape) for part, window in zip(parts, windows, strict=True)]


def send_numbers(arrays: Sequence[NDArray[np.generic]], device: torch.device) -> list[Tensor]:
    """Send arrays to a device in one copy, as float32 of their shapes."""
    flat = torch.from_numpy(np.concatenate([array.ravel() for array in arrays], dtype=np.float32, casting="unsafe"))
    if device.type == "cuda":
        flat = flat.pin_memory()
    parts = torch.split(flat.to(device, non_blocking=True), [array.size for array in arrays])
    return [part.view(array.shape) for part, array in zip(parts, arrays, strict=True)]
