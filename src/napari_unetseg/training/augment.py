"""Training crops: random views of samples, under random light, all of a step at once."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from napari_unetseg.training.crop_store import CropStore
from napari_unetseg.training.light import draw_light, relight
from napari_unetseg.training.paste import paste
from napari_unetseg.training.training_recipe import Augmentation
from napari_unetseg.training.views import draw_views, resample


def draw_crops(
    store: CropStore,
    chosen: NDArray[np.int64],
    side: int,
    options: Augmentation,
    rng: Generator,
    donors: NDArray[np.int64] | None = None,
) -> tuple[Tensor, Tensor]:
    """Cut a random view out of each chosen sample, and paste objects of others into them.

    Parameters
    ----------
    donors
        Samples of which a random view gives its objects to the crops, -1 for none.

    Returns
    -------
    pixels, targets
        float32 (N, 3, side, side) and (N, 5, side, side) on the store's device, seen through the same transforms.
    """
    takers = np.zeros(0, np.int64) if donors is None else np.flatnonzero(donors >= 0)
    shown = chosen if donors is None else np.concatenate([chosen, donors[takers]])
    pixels, targets = resample(store, draw_views(store, shown, side, options, rng), side)
    for place, taker in enumerate(takers.tolist(), start=len(chosen)):
        # Which objects have room is found out on the host.
        views = [planes[index].cpu() for index in (taker, place) for planes in (pixels, targets)]
        for planes, pasted in zip((pixels, targets), paste(*views), strict=True):
            planes[taker] = pasted.to(planes.device)
    pixels, targets = pixels[: len(chosen)], targets[: len(chosen)]
    return relight(pixels, draw_light(store.colourless[chosen], store.glowing[chosen], options, rng)), targets
