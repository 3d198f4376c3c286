#!/bin/sh
# distributed 2026.8.0: a program that has started a `LocalCluster` of processes has OMP_NUM_THREADS=1 in its own
# environment afterwards, also once the cluster is closed.
#
# One expects it to be set for the workers alone. What the program itself starts or imports later, such as PyTorch, then
# computes on one core. Keep the variables and put them back.
#
# Seen: before None ; after 1
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "distributed==2026.8.0"
cat > "$folder/program.py" <<'PYTHON'
import os

from distributed import LocalCluster

if __name__ == "__main__":
    before = os.environ.get("OMP_NUM_THREADS")
    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None):
        pass
    print("before", before, "; after", os.environ.get("OMP_NUM_THREADS"))
PYTHON
seen=$(env -u OMP_NUM_THREADS "$folder/venv/bin/python" "$folder/program.py")
echo "$seen"
test "$seen" = "before None ; after 1"
