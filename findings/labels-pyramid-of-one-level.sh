#!/bin/sh
# napari 0.9.2: a multiscale Labels layer of one level cannot be made; an Image layer of one level can.
#
# One expects both or neither. Pyramids of one level are common: OME-Zarr writes small images so. Hand over the array itself.
#
# Seen: image: shown ; labels: ValueError
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "napari==0.9.2"
seen=$("$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from napari.components import ViewerModel


def outcome(kind):
    try:
        getattr(ViewerModel(), f"add_{kind}")([np.zeros((64, 64), np.int32)], multiscale=True)
    except ValueError as error:
        return type(error).__name__
    return "shown"


print("image:", outcome("image"), "; labels:", outcome("labels"))
PYTHON
)
echo "$seen"
test "$seen" = "image: shown ; labels: ValueError"
