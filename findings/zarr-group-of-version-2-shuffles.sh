#!/bin/sh
# zarr 3.1.6: an array of format 2 has another compression by default if it is made through its group: Blosc (lz4, shuffled
# bytes) by `Group.create_array`, Zstd by `zarr.create_array`. Of format 3 both give Zstd.
#
# One expects one default for a format. Label images suffer: those of 1,600 discs take three times the room in the one.
# Name `compressors` in any case.
#
# Seen: 2: Blosc Zstd ; 3: ZstdCodec ZstdCodec ; larger: 3
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q "zarr==3.1.6" "numcodecs==0.16.6" "numpy==2.4.6"
seen=$("$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import zarr

rows, columns = np.mgrid[:1024, :1024]
is_disc = np.hypot(rows % 26 - 13, columns % 26 - 13) < 11
labels = np.where(is_disc, 1 + rows // 26 * 40 + columns // 26, 0).astype(np.int32)


def size(array):
    array[:] = labels
    return array.nbytes_stored()


said = []
for number in (2, 3):
    how = {"shape": labels.shape, "chunks": (256, 256), "dtype": labels.dtype}
    in_group = zarr.open_group({}, mode="w", zarr_format=number).create_array("labels", **how)
    alone = zarr.create_array({}, zarr_format=number, **how)
    said.append(f"{number}: " + " ".join(type(array.compressors[0]).__name__ for array in (in_group, alone)))
    if number == 2:
        larger = round(size(in_group) / size(alone))
print(" ; ".join([*said, f"larger: {larger}"]))
PYTHON
)
echo "$seen"
test "$seen" = "2: Blosc Zstd ; 3: ZstdCodec ZstdCodec ; larger: 3"
