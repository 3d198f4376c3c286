"""What is written is valid by the schemas that the format's authors publish, as ngff-zarr carries them."""

import json
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.io.ome_zarr.written_labels import SIDE, TABLE, attributes, image_store, labelled

from napari_unetseg.image import Image
from napari_unetseg.io.ome_zarr.label_creation import create_label_store
from napari_unetseg.io.ome_zarr.maps import create_maps

_FOUND = find_spec("ngff_zarr")
pytestmark = pytest.mark.skipif(_FOUND is None, reason="ngff-zarr is not installed")


def errors(said: Mapping[str, Any], version: str, schema: str) -> Iterator[str]:
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    assert _FOUND is not None
    folder = Path(str(_FOUND.origin)).parent / "spec" / version / "schemas"
    known = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.schema")}
    resources = [(one["$id"], Resource.from_contents(one, default_specification=DRAFT202012)) for one in known.values()]
    registry: Registry[Any] = Registry().with_resources(resources)
    return (error.message for error in Draft202012Validator(known[schema], registry=registry).iter_errors(said))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_of_an_image_are_valid(tmp_path: Path, version: str) -> None:
    store = image_store(tmp_path / "a.zarr", version)
    colours = dict.fromkeys(TABLE["label"].tolist(), (1.0, 0.5, 0.0, 1.0))
    for name, options in (
        ("coloured", {"table": TABLE, "colours": colours}),
        ("plain", {"table": TABLE}),
        ("bare", {}),
    ):
        said = attributes(Path(labelled(store, version, name, provenance={"model": "nuclei"}, **options).path))
        strict = ["strict_image", *(["strict_label"] if name == "coloured" else [])]
        for schema in ("label", "image", *strict):
            assert list(errors(said, version, schema)) == []
    assert list(errors(attributes(store), version, "image")) == []


def test_stores_of_their_own_are_valid(tmp_path: Path) -> None:
    image = Image(np.zeros((3, 70, 90), np.uint8), "ZYX", scale=(0.5, 0.5), unit="micrometer")
    create_label_store(tmp_path / "a", "nuclei", image, block_side=SIDE).finish(table=TABLE)
    create_maps(tmp_path / "m", ["foreground", "boundary"], image, block_side=SIDE)
    for path in (tmp_path / "a", tmp_path / "m", tmp_path / "a" / "labels" / "nuclei"):
        assert list(errors(attributes(path), "0.5", "strict_image")) == []
    assert list(errors(attributes(tmp_path / "a" / "labels" / "nuclei"), "0.5", "label")) == []


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_schemas_see_what_is_wrong(tmp_path: Path, version: str) -> None:
    said = json.loads(json.dumps(attributes(Path(labelled(image_store(tmp_path / "a.zarr", version), version).path))))
    plain = said.get("ome") or said
    plain["image-label"]["colors"] = []
    plain["multiscales"][0]["datasets"] = []
    assert list(errors(said, version, "label"))
    assert list(errors(said, version, "image"))
