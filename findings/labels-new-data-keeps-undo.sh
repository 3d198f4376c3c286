#!/bin/sh
# napari 0.9.2: after `Labels.data = other`, Undo paints pixels of the array that was replaced into the new one.
#
# One expects the history to end with the array it is about. It is kept: the step is undone by writing the old values at
# the old places of whatever the layer holds now, so that a pixel of the new labels is silently lost. Setting
# `editable` to False and back to True empties the history.
#
# Seen: undone [[0, 7], [7, 7]] ; with an emptied history [[7, 7], [7, 7]]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "napari==0.9.2"
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from napari.layers import Labels


def painted_and_replaced() -> Labels:
    layer = Labels(np.zeros((2, 2), np.int32))
    layer.brush_size = 1
    layer.paint((0, 0), 5)
    layer.data = np.full((2, 2), 7, np.int32)
    return layer


kept, emptied = painted_and_replaced(), painted_and_replaced()
emptied.editable = False
emptied.editable = True
kept.undo()
emptied.undo()
print("undone", kept.data.tolist(), "; with an emptied history", emptied.data.tolist())
PYTHON
)
echo "$seen"
test "$seen" = "undone [[0, 7], [7, 7]] ; with an emptied history [[7, 7], [7, 7]]"
