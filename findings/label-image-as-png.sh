#!/bin/sh
# OpenCV 5.0.0: `imencode(".png", labels)` of an int32 label image answers True and merges every object above 254.
#
# One expects an error, as Pillow and imagecodecs raise, or 16 bits. OpenCV writes 8 bits and clips, so that of 300
# objects 46 become one. Labels have to be uint16 first, after a look at their maximum.
#
# Seen: opencv True uint8 255 of 300 objects ; uint16 300
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "opencv-python-headless==5.0.0.93" "numpy==2.4.6"
seen=$("$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import cv2
import numpy as np


def written(labels):
    done, data = cv2.imencode(".png", labels)
    back = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    return done, back.dtype, len(np.unique(back[back > 0]))


labels = np.arange(301, dtype=np.int32).reshape(7, 43)
done, kind, objects = written(labels)
print("opencv", done, kind, objects, "of 300 objects ; uint16", written(labels.astype(np.uint16))[2])
PYTHON
)
echo "$seen"
test "$seen" = "opencv True uint8 255 of 300 objects ; uint16 300"
