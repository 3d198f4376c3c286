#!/bin/sh
# napari 0.9.2: a multiscale layer reads its smallest level once. What is written into that level afterwards never shows,
# whatever `refresh()` is called, while the other levels are read again each time.
#
# One expects `refresh()` to show what the arrays hold now, as it does for single arrays. A label pyramid that fills while a
# run goes on so stays empty in the thumbnail and when zoomed out. An array-like whose `__array__` hands out the same
# NumPy array each time, which is updated in place, helps.
#
# Seen: smallest 0 ; next larger 7
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "napari==0.9.2"
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from napari.components import ViewerModel


class Written:
    """Pixels that are on a disk, say."""

    def __init__(self, side):
        self.pixels = np.zeros((side, side), np.int32)
        self.shape, self.dtype, self.ndim, self.size = (side, side), self.pixels.dtype, 2, side * side

    def __getitem__(self, key):
        return self.pixels[key].copy()

    def __array__(self, dtype=None, copy=None):
        return self.pixels.astype(dtype or self.dtype)


levels = [Written(side) for side in (512, 256, 128)]
layer = ViewerModel().add_labels(levels, multiscale=True)
for level in levels:
    level.pixels[:] = 7
seen = {}
for number in (2, 1):
    layer.data_level = number
    layer.refresh()
    seen[number] = int(np.asarray(layer._slice.image.raw).max())
print("smallest", seen[2], "; next larger", seen[1])
PYTHON
)
echo "$seen"
test "$seen" = "smallest 0 ; next larger 7"
