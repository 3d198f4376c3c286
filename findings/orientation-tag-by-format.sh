#!/bin/sh
# Pillow 13.0.0 and OpenCV 5.0.0: the same orientation tag turns a TIFF, and neither a JPEG nor a PNG.
#
# One expects that one call treats all formats alike. Opened and turned into an array, a TIFF with orientation 6 comes
# back turned by 90 degrees (Pillow applies the tag while it loads, and OpenCV does with IMREAD_UNCHANGED); JPEG and PNG
# with the same tag come back as stored. So a mask made from one does not lie on the other.
#
# Seen: pillow JPEG (8, 16) PNG (8, 16) TIFF (16, 8) ; opencv JPEG (8, 16) PNG (8, 16) TIFF (16, 8)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "pillow==13.0.0" "opencv-python-headless==5.0.0.93" "numpy==2.4.6"
seen=$("$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys

import cv2
import numpy as np
from PIL import Image

pillow, opencv = ["pillow"], ["opencv"]
for format in ("JPEG", "PNG", "TIFF"):
    picture = Image.fromarray(np.zeros((8, 16), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = f"{sys.argv[1]}/picture.{format.lower()}"
    compression = {"compression": "tiff_lzw"} if format == "TIFF" else {}
    picture.save(file, format=format, exif=exif, **compression)
    with Image.open(file) as stored:
        pillow += [format, str(np.asarray(stored).shape)]
    data = np.fromfile(file, np.uint8)
    opencv += [format, str(cv2.imdecode(data, cv2.IMREAD_UNCHANGED).shape)]
print(*pillow, ";", *opencv)
PYTHON
)
echo "$seen"
test "$seen" = "pillow JPEG (8, 16) PNG (8, 16) TIFF (16, 8) ; opencv JPEG (8, 16) PNG (8, 16) TIFF (16, 8)"
