#!/bin/sh
# pylibCZIrw 6.1.0: the scale that is written is taken for metres, though its documentation says micrometres.
#
# The docstring of `write_metadata` calls scale_x "the extent of a pixel in x-direction in units of µm". What one gives
# goes into the file as it is, where CZI keeps distances in metres: pixels of 0.25 µm, given as documented, are a quarter
# of a metre wide to everybody who reads the file. Write 0.25e-6.
#
# Seen: documented in µm; 0.25 is stored as 0.25 m
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "pylibCZIrw==6.1.0" "numpy==2.4.6"
seen=$("$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from xml.etree import ElementTree

import numpy as np
from pylibCZIrw import czi

file = f"{sys.argv[1]}/image.czi"
with czi.create_czi(file) as writer:
    writer.write(np.zeros((8, 8, 1), np.uint8))
    writer.write_metadata("image", scale_x=0.25, scale_y=0.25)
unit = "µm" if "x-direction in units of µm" in czi.CziWriter.write_metadata.__doc__ else "another unit"
with czi.open_czi(file) as image:
    value = ElementTree.fromstring(image.raw_metadata).find(".//Distance[@Id='X']/Value").text
print(f"documented in {unit}; 0.25 is stored as {value} m")
PYTHON
)
echo "$seen"
test "$seen" = "documented in µm; 0.25 is stored as 0.25 m"
