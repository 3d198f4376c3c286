#!/bin/sh
# Pillow 13.0.0: an uncompressed TIFF with orientation 6 comes back with its pixels scrambled; compressed, it is right.
#
# One expects the picture turned by 90 degrees either way. Of the uncompressed one, width and height are exchanged before
# the rows are cut from the file, so that rows of 4 are read out of rows of 6. Nothing is raised, and a square picture
# does not show it. tifffile gives the pixels as they are stored.
#
# Seen: lzw (6, 4) right True ; uncompressed (4, 6) right False
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "pillow==13.0.0" "numpy==2.4.6"
seen=$("$folder/venv/bin/python" - "$folder/picture.tiff" <<'PYTHON'
import sys

import numpy as np
from PIL import Image

pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
exif = Image.Exif()
exif[0x0112] = 6


def read(compression):
    Image.fromarray(pixels).save(sys.argv[1], exif=exif, compression=compression)
    with Image.open(sys.argv[1]) as picture:
        found = np.asarray(picture)
    return found.shape, "right", np.array_equal(found, np.rot90(pixels, -1))


print("lzw", *read("tiff_lzw"), "; uncompressed", *read("raw"))
PYTHON
)
echo "$seen"
test "$seen" = "lzw (6, 4) right True ; uncompressed (4, 6) right False"
