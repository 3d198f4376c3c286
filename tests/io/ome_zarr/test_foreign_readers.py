"""What ome-zarr-py and ngff-zarr read of labels that were written here; napari-ome-zarr: tests/plugin."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.io.ome_zarr.written_labels import LABELS, SIDE, TABLE, image_store, labelled, write_blocks

from napari_unetseg.image import Image
from napari_unetseg.io.ome_zarr.label_creation import create_label_store

_PROGRAM = """
import json, sys
import numpy as np
from ngff_zarr import from_ngff_zarr
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader

def sums(pixels):
    return [int(np.asarray(one).astype("int64").sum()) for one in pixels]

said = {}
for path in sys.argv[1:]:
    nodes = [node for node in Reader(parse_url(path, mode="r"))() if node.data]
    labels = next(node for node in nodes if "properties" in node.metadata)
    images = from_ngff_zarr(path + "/labels/nuclei", validate=True).images
    from_ngff_zarr(path, validate=True)
    said[path] = {
        "ome_zarr": sums(labels.data),
        "colours": {str(key): [float(part) for part in value] for key, value in labels.metadata["color"].items()},
        "objects": sorted(map(int, labels.metadata["properties"])),
        "steps": labels.metadata["coordinateTransformations"],
        "image_steps": nodes[0].metadata["coordinateTransformations"],
        "ngff_zarr": sums([one.data for one in images]),
        "scale": images[0].scale,
        "translation": images[0].translation,
    }
print(json.dumps(said))
"""


@pytest.mark.nightly
def test_both_read_the_same_labels_in_the_same_place(foreign: Path, tmp_path: Path) -> None:
    table = {name: values[:2] for name, values in TABLE.items()}
    colours = {1: (1.0, 0.0, 0.0, 1.0), 2: (0.0, 1.0, 0.0, 1.0), 3: (0.0, 0.0, 1.0, 1.0)}
    stores = {}
    for version in ("0.4", "0.5"):
        store = image_store(tmp_path / f"{version}.zarr", version)
        labelled(store, version, table=table, colours=colours)
        stores[str(store)] = LABELS[np.newaxis]
    image = Image(LABELS[0], scale=(0.5, 0.25), unit="micrometer")
    alone = create_label_store(tmp_path / "labels.ome.zarr", "nuclei", image, block_side=SIDE)
    write_blocks(alone, LABELS[0])
    alone.finish(table=table, colours=colours)
    stores[str(tmp_path / "labels.ome.zarr")] = LABELS[0]
    line = [str(foreign), "-c", _PROGRAM, *stores]
    ran = subprocess.run(line, capture_output=True, text=True, check=True, timeout=600)
    said: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    for path, labels in stores.items():
        found = said[path]
        levels = len(found["ome_zarr"])
        assert levels == (1 if labels.ndim == 2 else 3)
        wanted = [int(labels[..., :: 2**level, :: 2**level].sum()) for level in range(levels)]
        assert found["ome_zarr"] == found["ngff_zarr"] == wanted
        assert found["colours"]["3"] == [0, 0, 1, 1]
        assert found["objects"] == [1, 3]
        assert [found["scale"][axis] for axis in "yx"] == [0.5, 0.25]
        assert {*found["translation"].values()} == {0}
        if labels.ndim == 4:
            kept = [0, 2, 3, 4]
            assert found["steps"] == [
                [{**step, step["type"]: [step[step["type"]][axis] for axis in kept]} for step in level]
                for level in found["image_steps"]
            ]
