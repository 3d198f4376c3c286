"""Draw the pictures of the models' pages: a sample image, and in it what the model finds.

python tools/model_pictures.py
"""

from pathlib import Path

import numpy as np
from PIL import Image as Picture
from skimage.segmentation import mark_boundaries

from napari_unetseg import SegmentationService
from napari_unetseg.io import draw_overlay
from napari_unetseg.samples import SAMPLES

_FOLDER = Path(__file__).parents[1] / "docs" / "images"
_SAMPLES = {"nuclei": ("nuclei", "tissue"), "cells": ("cells",), "spheroids": ("spheroids",), "nails": ("hand",)}
_SIDE, _GAP = 384, 6


def main() -> None:
    """Write a picture for each model."""
    with SegmentationService(device="cpu") as service:
        for model, samples in _SAMPLES.items():
            parts = list[np.ndarray]()
            for image in (SAMPLES[sample]() for sample in samples):
                labels = service.segment(image, model=model).labels
                plain = draw_overlay(image, np.zeros_like(labels))
                outlined = mark_boundaries(plain, labels, color=(1, 0.85, 0), mode="thick")
                pair = [plain[:_SIDE, :_SIDE], (255 * outlined[:_SIDE, :_SIDE]).astype(np.uint8)]
                parts.append(np.pad(np.hstack(pair), ((0, _GAP), (0, 0), (0, 0)), constant_values=128))
            whole = Picture.fromarray(np.vstack(parts)[:-_GAP])
            whole.quantize(256).save(_FOLDER / f"model-{model}.png", optimize=True)


if __name__ == "__main__":
    main()
