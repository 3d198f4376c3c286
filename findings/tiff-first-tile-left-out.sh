#!/bin/sh
# tifffile 2026.3.3: `imwrite` takes None for a tile that is to be left out, but not as the first one of an iterator.
#
# One expects any tile of a sparse image to be left out. Give zeros for the first one, which are left out of nothing but
# compress well.
#
# Seen: first left out: IndexError ; last left out: 512
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "tifffile==2026.3.3" "numpy==2.4.6"
seen=$("$folder/venv/bin/python" - "$folder/a.tif" <<'PYTHON'
import sys

import numpy as np
import tifffile

tile = np.ones((16, 32), np.uint16)


def written(tiles):
    try:
        tifffile.imwrite(sys.argv[1], iter(tiles), shape=(16, 64), dtype="uint16", tile=(16, 32))
    except IndexError as error:
        return type(error).__name__
    return str(tifffile.imread(sys.argv[1]).sum())


print("first left out:", written([None, tile]), "; last left out:", written([tile, None]))
PYTHON
)
echo "$seen"
test "$seen" = "first left out: IndexError ; last left out: 512"
