#!/bin/sh
# NumPy 2.4.6, on x86-64 processors with AVX-512 or AVX2: `np.percentile(image, (1, 99.8))` of float32 takes several times
# as long as sorting the image, and as partitioning it once for each of the values that are needed.
#
# One expects the percentiles by which images are normalised to cost a part of sorting them, as they are found by partition.
# But only sorting, and partition at a single place, use the vector units; at several places, of which two percentiles need
# four, partition goes through pixels one by one. Partition by pairs of places, or sort.
#
# Seen: percentile slower than sorting: True ; than four partitions: True ; all the same values: True
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "numpy==2.4.6"
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import sys
import timeit

import numpy as np

features = np._core._multiarray_umath.__cpu_features__
if not (features.get("AVX512_SKX") or features.get("AVX2")):
    sys.exit("This processor has neither AVX-512 nor AVX2.")
image = np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32)
last = image.size - 1
below = [int(last * share) for share in (0.01, 0.998)]
places = [place + more for place in below for more in (0, 1)]


def percentiles():
    return np.percentile(image, (1, 99.8))


def by_sorting():
    return np.sort(image, axis=None)[places]


def by_single_partitions():
    return np.array([np.partition(image.ravel(), place)[place] for place in places])


def seconds(work):
    return min(timeit.repeat(work, number=1, repeat=30))


taken = seconds(percentiles)
same = np.array_equal(by_sorting(), by_single_partitions())
between = [low <= value <= high for value, low, high in zip(percentiles(), *by_sorting().reshape(2, 2).T)]
print(
    f"percentile slower than sorting: {taken > 1.5 * seconds(by_sorting)} ;"
    f" than four partitions: {taken > 1.5 * seconds(by_single_partitions)} ;"
    f" all the same values: {same and all(between)}"
)
PYTHON
)
echo "$seen"
[ "$seen" = "percentile slower than sorting: True ; than four partitions: True ; all the same values: True" ]
