#!/bin/sh
# PyTorch 2.13.0: while one thread traces with `torch.export.export`, oneDNN is off in every thread, and
# `torch.compiler.is_compiling()` is true in every thread.
#
# One expects both to hold in the thread that traces, as its other modes do. So a network that another thread computes
# meanwhile on a processor gives other values in bfloat16, and a layer that asks `is_compiling` takes the branch that was
# meant for the tracer. Of `make_fx`, neither is true.
#
# Seen: export onednn False compiling True ; make_fx onednn True compiling False ; after onednn True compiling False
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "torch==2.13.0" "numpy==2.4.6" 2>/dev/null
seen=$("$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import threading

import torch
from torch.fx.experimental.proxy_tensor import make_fx

tracing, asked = threading.Event(), threading.Event()


class Waits(torch.nn.Module):
    def forward(self, x):
        tracing.set()
        asked.wait(60)
        return x + 1


def state():
    return f"onednn {torch.backends.mkldnn.enabled} compiling {torch.compiler.is_compiling()}"


def meanwhile(trace):
    tracing.clear(), asked.clear()
    thread = threading.Thread(target=trace)
    thread.start()
    tracing.wait(60)
    seen = state()
    asked.set()
    thread.join()
    return seen


x = torch.rand(2, 3)
exported = meanwhile(lambda: torch.export.export(Waits(), (x,), strict=False))
made = meanwhile(lambda: make_fx(Waits(), tracing_mode="fake")(x))
print("export", exported, "; make_fx", made, "; after", state())
PYTHON
)
echo "$seen"
test "$seen" = "export onednn False compiling True ; make_fx onednn True compiling False ; after onednn True compiling False"
