#!/bin/sh
# napari 0.9.2: beside a layer in nanometres, `Layer.get_value(place, world=True)` of a layer in micrometres takes the
# coordinates of the viewer, which are then nanometres, for micrometres, and finds nothing.
#
# One expects the world of the viewer: its extent, sliders and camera are converted to the smaller unit, and the layers
# are drawn in it. What asks a layer by the position of the pointer misses by the factor between the units.
#
# Seen: alone micrometer 34 ; beside nanometres nanometer None
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "napari==0.9.2"
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from napari.components import ViewerModel

viewer = ViewerModel()
pixels = np.arange(100).reshape(10, 10)
layer = viewer.add_image(pixels, units="um")


def look_up(row, column):
    unit = viewer.layers.extent.units[0]
    length = float((1 * layer.units[0]).to(unit).magnitude)
    return unit, layer.get_value((row * length, column * length), world=True)


alone = look_up(3, 4)
viewer.add_image(pixels, scale=(1000, 1000), units="nm")
print("alone", *alone, "; beside nanometres", *look_up(3, 4))
PYTHON
)
echo "$seen"
test "$seen" = "alone micrometer 34 ; beside nanometres nanometer None"
