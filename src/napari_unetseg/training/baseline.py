"""What can be had without learning, to hold a model's scores against."""

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from napari_unetseg.image import Image
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.training.evaluate import Method


def otsu_watershed(image: Image, min_size: int = 20) -> NDArray[np.int32]:
    """Divide the foreground of Otsu's threshold (1979) by a watershed of its distance transform.

    The side of the threshold that covers less of the image is the foreground, so that dark objects
    on a bright background are found as well.

    Returns
    -------
    ndarray
        int32 (Y, X).
    """
    grey = image.channels_first[:3].mean(axis=0)
    if grey.min() == grey.max():
        return np.zeros(grey.shape, np.int32)
    bright = grey > threshold_otsu(grey)
    foreground = bright if bright.mean() <= 0.5 else ~bright
    return decode(foreground[np.newaxis].astype(np.float32), ("foreground",), DecodeParameters(min_size=min_size))


OTSU = Method("Otsu + watershed", otsu_watershed, divides=True)
