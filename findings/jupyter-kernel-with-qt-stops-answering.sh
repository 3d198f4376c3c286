#!/bin/sh
# ipykernel 7.4.0 (and 7.2.0; not 6.31.0, and 7.0.1 did not in four tries): with Qt's event loop a kernel often stops answering.
#
# `%gui qt`, which napari does by itself when a viewer is made in a notebook, lets Qt run between cells until a message
# wakes it. Now and then a message does not: the next cell is never run, and the notebook says that the kernel is busy. The
# more a machine has to do the more often. Of twelve kernels that are to run forty empty cells several hang, of 6.31.0 none.
#
# What to do: pip install "ipykernel<7" where a notebook opens a window. Notebooks that are run from top to bottom by a
# program can do without the loop: NAPARI_APPLICATION_IPY_INTERACTIVE=0.
#
# Seen: ipykernel 6.31.0: 0 of 12 hang; ipykernel 7.4.0: 5 of 12 hang
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "nbclient==0.11.0" "nbformat==5.11.1" "PyQt6==6.11.0" "qtpy" "ipykernel==6.31.0"
cat >"$folder/hang.py" <<'PYTHON'
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError

hung = 0
for _ in range(12):
    cells = [nbformat.v4.new_code_cell(code) for code in ("%gui qt", *["1 + 1"] * 40)]
    try:
        NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=15).execute()
    except CellTimeoutError:
        hung += 1
print(hung)
PYTHON
export QT_QPA_PLATFORM=offscreen
before=$("$folder/venv/bin/python" "$folder/hang.py" 2>/dev/null)
"$folder/venv/bin/python" -m pip install -q "ipykernel==7.4.0"
after=$("$folder/venv/bin/python" "$folder/hang.py" 2>/dev/null)
echo "ipykernel 6.31.0: $before of 12 hang; ipykernel 7.4.0: $after of 12 hang"
test "$before" -eq 0
test "$after" -gt 0
