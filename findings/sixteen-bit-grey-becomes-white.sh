#!/bin/sh
# Pillow 13.0.0: a 16-bit grey micrograph converted to "RGB" is white wherever it is above 255 of 65,535.
#
# One expects its range to be mapped to 0..255, as OpenCV does, which divides by 256. Pillow clips: of a camera that
# uses 12 or 16 bits, nearly every pixel becomes 255, without a warning. Converting to "L" clips as well.
# Whoever makes a preview, or RGB for a network, has to rescale first.
#
# Seen: pillow RGB [10, 255, 255, 255] ; pillow L [10, 255, 255, 255] ; opencv [0, 1, 15, 234]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "pillow==13.0.0" "opencv-python-headless==5.0.0.93" "numpy==2.4.6"
seen=$("$folder/venv/bin/python" - "$folder/grey.png" <<'PYTHON'
import sys

import cv2
import numpy as np
from PIL import Image

file = sys.argv[1]
Image.fromarray(np.array([[10, 400, 4000, 60000]], np.uint16)).save(file)
with Image.open(file) as picture:
    rgb = np.asarray(picture.convert("RGB"))[0, :, 0].tolist()
    grey = np.asarray(picture.convert("L"))[0].tolist()
print("pillow RGB", rgb, "; pillow L", grey, "; opencv", cv2.imread(file, cv2.IMREAD_COLOR)[0, :, 0].tolist())
PYTHON
)
echo "$seen"
test "$seen" = "pillow RGB [10, 255, 255, 255] ; pillow L [10, 255, 255, 255] ; opencv [0, 1, 15, 234]"
