#!/bin/sh
# napari 0.9.2: `layer.metadata |= {...}` leaves the metadata empty.
#
# One expects what a dict does: the old keys and the new ones. The setter of `Layer.metadata` clears the dict that it
# keeps before it takes what it is given over; `|=` gives it that very dict. `layer.metadata.update({...})` is right.
#
# Seen: after |= {} ; after update {'a': 1, 'b': 2}
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "napari==0.9.2"
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from napari.layers import Labels

union = Labels(np.zeros((4, 4), int), metadata={"a": 1})
union.metadata |= {"b": 2}
updated = Labels(np.zeros((4, 4), int), metadata={"a": 1})
updated.metadata.update({"b": 2})
print("after |=", dict(union.metadata), "; after update", dict(updated.metadata))
PYTHON
)
echo "$seen"
test "$seen" = "after |= {} ; after update {'a': 1, 'b': 2}"
