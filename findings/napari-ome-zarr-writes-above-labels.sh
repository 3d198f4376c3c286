#!/bin/sh
# napari-ome-zarr 0.10.0: opening a label image that stands for itself, in no `labels` group of an image, makes a file
# two folders above it.
#
# One expects a reader to write nothing. It looks for the image two levels up, and opens that folder in zarr's default
# mode, which makes a group where there is none. So a label image is better kept within a store whose root is an image.
#
# Seen: ['a/zarr.json']
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "napari-ome-zarr==0.10.0" "zarr==3.1.6" "napari==0.9.2"
seen=$("$folder/venv/bin/python" -W ignore - "$folder/data" <<'PYTHON'
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import zarr
from napari_ome_zarr import napari_get_reader

top = Path(sys.argv[1])
labels = top / "a" / "b" / "labels.zarr"
labels.parent.mkdir(parents=True)
group = zarr.open_group(labels, mode="w", zarr_format=3)
group.create_array("0", data=np.ones((8, 8), np.int32))
axes = [{"name": name, "type": "space"} for name in "yx"]
level = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}
group.attrs["ome"] = {
    "version": "0.5",
    "multiscales": [{"axes": axes, "datasets": [level]}],
    "image-label": {"version": "0.5"},
}
before = set(top.rglob("*"))
with redirect_stdout(sys.stderr):
    napari_get_reader(str(labels))(str(labels))
print(sorted(str(path.relative_to(top)) for path in set(top.rglob("*")) - before))
PYTHON
)
echo "$seen"
test "$seen" = "['a/zarr.json']"
