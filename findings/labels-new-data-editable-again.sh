#!/bin/sh
# napari 0.9.2: a Labels layer that was made read-only can be painted on again after its data were replaced.
#
# One expects `editable = False` to hold until somebody sets it back. Assigning `data` works it out anew, as for a new
# layer, and so does nothing of the kind for `visible` or `mode`.
#
# Seen: editable True, visible False
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "napari==0.9.2"
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from napari.layers import Labels

layer = Labels(np.zeros((4, 4), np.int32), visible=False)
layer.editable = False
layer.data = np.ones((4, 4), np.int32)
print(f"editable {layer.editable}, visible {layer.visible}")
PYTHON
)
echo "$seen"
test "$seen" = "editable True, visible False"
