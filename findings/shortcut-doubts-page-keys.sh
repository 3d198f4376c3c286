#!/bin/sh
# napari 0.9.2: `Shortcut("PageDown")` warns that there is no such key, and `bind_key("PageDown")` takes it.
#
# One expects the class that writes keys for people to know those that can be bound. Its list has the arrows and Escape, but
# neither Page Up, Page Down nor Home; under `-W error`, as in tests, to show such a key ends the program.
#
# Seen: PageDown doubted, Up known; bound ['PageDown']
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "napari==0.9.2"
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import warnings

from napari.components import ViewerModel
from napari.utils.interactions import Shortcut


def told(key: str) -> str:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Shortcut(key)
    return "doubted" if caught else "known"


viewer = ViewerModel()
viewer.bind_key("PageDown", lambda viewer: None)
bound = [str(key) for key in viewer.keymap]
print(f"PageDown {told('PageDown')}, Up {told('Up')}; bound {bound}")
PYTHON
)
echo "$seen"
test "$seen" = "PageDown doubted, Up known; bound ['PageDown']"
