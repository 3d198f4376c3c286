#!/bin/sh
# bioio 3.6.0 with bioio-ome-tiff 1.4.0: pixel sizes come without the unit that the file states.
#
# One expects micrometres, as bioio's readers of other formats give, or the unit beside the number. An OME-TIFF whose
# pixels are 650 nm and one whose pixels are 650 mm give the same `physical_pixel_sizes`, and `dimension_properties`,
# which has a place for the unit, says None of both. Who needs the size has to read the OME-XML.
#
# Seen: nm 650.0 None ; mm 650.0 None
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "bioio==3.6.0" "bioio-base==3.5.0" "bioio-ome-tiff==1.4.0" \
    "tifffile==2026.3.3" "numpy==2.4.6"
seen=$("$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys

import bioio_ome_tiff
import numpy as np
import tifffile
from bioio import BioImage

found = []
for unit in ("nm", "mm"):
    file = f"{sys.argv[1]}/{unit}.ome.tif"
    sizes = {"PhysicalSizeX": 650.0, "PhysicalSizeXUnit": unit, "PhysicalSizeY": 650.0, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(file, np.zeros((16, 20), np.uint8), ome=True, metadata={"axes": "YX", **sizes})
    image = BioImage(file, reader=bioio_ome_tiff.Reader)
    found.append(f"{unit} {image.physical_pixel_sizes.X} {image.dimension_properties.X.unit}")
print(" ; ".join(found))
PYTHON
)
echo "$seen"
test "$seen" = "nm 650.0 None ; mm 650.0 None"
