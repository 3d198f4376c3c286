#!/bin/sh
# napari 0.9.2: to show one plane of a multiscale stack, all planes of the part on display are read, where the levels are
# arrays that read when they are indexed, such as those of zarr.
#
# One expects one plane to be read, as of a stack that is no pyramid. napari first cuts rows and columns out of all planes
# and takes the plane from the result. Levels that stay lazy at the first index, such as dask arrays, are not hurt.
#
# Seen: pyramid [(20, 256, 256)] ; single [(1, 512, 512)]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "napari==0.9.2"
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from napari.components import ViewerModel


class Counted:
    """Pixels on a disk that tell what was read."""

    def __init__(self, shape):
        self.pixels, self.read = np.zeros(shape, np.uint8), []
        self.shape, self.dtype, self.ndim, self.size = shape, self.pixels.dtype, len(shape), self.pixels.size

    def __getitem__(self, key):
        part = self.pixels[key]
        self.read.append(part.shape)
        return part

    def __array__(self, dtype=None, copy=None):
        self.read.append(self.shape)
        return self.pixels


def read_to_show(layer, array):
    array.read.clear()
    layer.refresh()
    return array.read


large, small = Counted((20, 512, 512)), Counted((20, 256, 256))
pyramid = ViewerModel().add_image([large, small], multiscale=True, contrast_limits=(0, 255))
pyramid.data_level = 0
alone = Counted((20, 512, 512))
single = ViewerModel().add_image(alone, contrast_limits=(0, 255))
print("pyramid", read_to_show(pyramid, large), "; single", read_to_show(single, alone))
PYTHON
)
echo "$seen"
test "$seen" = "pyramid [(20, 256, 256)] ; single [(1, 512, 512)]"
