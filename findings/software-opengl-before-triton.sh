#!/bin/sh
# Triton 3.9.0 (which torch 2.15.0 brings on Linux), with PyQt6 6.11.0 and OpenGL in software (Mesa 22.3.6 of Debian 12,
# LLVM 15): `import triton` ends the process once a window has an OpenGL context.
#
# One expects an import to work or to raise. Where there is no graphics card (a remote desktop, a virtual machine, xvfb),
# Mesa draws by an LLVM of its own, and loading Triton's beside it is a segmentation fault. napari has such a context as
# soon as a viewer is open, and `import torch` alone does not load Triton: the first step of an optimiser does, as does
# torchvision. Work in a process of its own, or import Triton before the window.
#
# Needs xvfb-run. Seen: triton after a context: -11 ; before it: 0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "triton==3.9.0" "PyQt6==6.11.0"
cat >"$folder/context.py" <<'PYTHON'
import sys

if "first" in sys.argv:
    import triton
from PyQt6.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext

application = QGuiApplication([])
context, surface = QOpenGLContext(), QOffscreenSurface()
if not context.create():
    sys.exit("There is no OpenGL.")
surface.create()
if not context.makeCurrent(surface):
    sys.exit("There is no OpenGL.")
import triton
PYTHON
seen=$("$folder/venv/bin/python" - "$folder" <<'PYTHON'
import os
import subprocess
import sys

script = os.path.join(sys.argv[1], "context.py")
# xvfb-run answers with the shell's code of a signal, 128 + 11.
codes = [
    subprocess.run(["xvfb-run", "-a", sys.executable, script, order], capture_output=True).returncode
    for order in ("after", "first")
]
after, first = (128 - code if code > 128 else code for code in codes)
print(f"triton after a context: {after} ; before it: {first}")
PYTHON
)
echo "$seen"
test "$seen" = "triton after a context: -11 ; before it: 0"
