"""Labels of OME-Zarr in napari: by our reader, and by napari-ome-zarr."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer
from tests.io.ome_zarr.foreign_writers import axes_of, multiscale, write_image
from tests.io.ome_zarr.written_labels import LABELS, PIXELS, SIDE, TABLE, image_store, labelled, write_blocks

from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io.ome_zarr.label_creation import create_label_store
from napari_unetseg.io.ome_zarr.labels import open_labels
from napari_unetseg.io.ome_zarr.packing import pack
from napari_unetseg.layer_style import AXES_KEY, METADATA_KEY
from napari_unetseg.plugin import readers, zarr_layers
from napari_unetseg.plugin.layers.file_layers import FILE_KEY
from napari_unetseg.plugin.readers import get_reader, open_zarr

VERSIONS = pytest.mark.parametrize("version", ["0.4", "0.5"])
RECORD = {"model": "nuclei", "plane": {}, "parameters": {"min_size": 20}}


def opened(path: Path | str) -> list[Layer]:
    """The layers that File > Open makes."""
    assert get_reader(str(path)) is open_zarr
    return [Layer.create(*data) for data in open_zarr(str(path))]


@VERSIONS
@pytest.mark.parametrize("packed", [False, True])
def test_labels_come_back_with_colours_table_and_provenance(tmp_path: Path, version: str, packed: bool) -> None:
    store = image_store(tmp_path / "a.zarr", version)
    few = {name: values[:2] for name, values in TABLE.items()}
    colours = {1: (1.0, 0.0, 0.0, 1.0), 2: (0.0, 1.0, 0.0, 1.0), 3: (0.0, 0.0, 1.0, 0.2)}
    labelled(store, version, table=few, colours=colours, provenance=RECORD)
    path = pack(store) if packed else store
    *images, labels = opened(path)
    assert [type(layer) for layer in images] == [ImageLayer, ImageLayer]
    assert isinstance(labels, Labels)
    assert labels.name == "nuclei"
    np.testing.assert_array_equal(labels.data[0], LABELS)
    np.testing.assert_allclose(labels.colormap.map(3), [0, 0, 1, 0.2])
    assert labels.colormap.map(70_000)[3] == 1, "objects without a colour are seen, too"
    assert labels.features.to_dict("list") == {"index": [1, 3], "area_px": [1200, 100], "area_um2": [150, 12.5]}
    assert labels.metadata[METADATA_KEY] == RECORD | {AXES_KEY: ["T", "Z", "Y", "X"]}
    assert labels.metadata[FILE_KEY] == f"{path}/labels/nuclei"
    for layer in (*images, labels):
        assert layer.axis_labels == ("t", "z", "y", "x")
        assert layer.scale.tolist() == [1, 2, 0.5, 0.25]
        assert [str(unit) for unit in layer.units] == ["second", "micrometer", "micrometer", "micrometer"]
    np.testing.assert_array_equal(images[1].data[0], PIXELS[:, 1])


@pytest.mark.parametrize("inner", ["labels", "labels/nuclei"])
def test_a_group_of_labels_is_opened_alone(tmp_path: Path, inner: str) -> None:
    store = image_store(tmp_path / "a.zarr", "0.5")
    labelled(store, "0.5")
    (layer,) = opened(store / inner)
    assert isinstance(layer, Labels)
    assert METADATA_KEY not in layer.metadata


def test_of_a_store_of_labels_its_labels_are_opened(tmp_path: Path) -> None:
    image = Image(LABELS[0], scale=(0.5, 0.25), unit="micrometer")
    made = create_label_store(tmp_path / "a_labels.ome.zarr", "nuclei", image, block_side=SIDE)
    with pytest.raises(UnetsegError, match="has no finished labels"):
        open_zarr(str(tmp_path / "a_labels.ome.zarr"))
    write_blocks(made, LABELS[0])
    made.finish()
    (layer,) = opened(tmp_path / "a_labels.ome.zarr")
    np.testing.assert_array_equal(layer.data, LABELS[0])
    assert layer.scale.tolist() == [0.5, 0.25]


def test_large_labels_are_read_where_they_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = image_store(tmp_path / "a.zarr", "0.5")
    labelled(store, "0.5")
    monkeypatch.setattr(zarr_layers, "_IN_MEMORY", 1000)
    (layer,) = opened(store / "labels" / "nuclei")
    assert layer.multiscale
    assert not isinstance(layer.data[0], np.ndarray)
    assert [level.shape for level in layer.data] == [(1, 3, 70, 90), (1, 3, 35, 45), (1, 3, 18, 23)]
    # What somebody writes meanwhile is seen once the layer is drawn anew.
    new = np.full((64, 64), 9, np.int32)
    open_labels(store / "labels" / "nuclei", writable=True).write_block((0,), (slice(0, 64), slice(0, 64)), new)
    layer.refresh()
    assert (np.asarray(layer.data[1][0, 0, :32, :32]) == 9).all()


def test_of_a_stack_on_disk_the_plane_on_the_screen_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = image_store(tmp_path / "a.zarr", "0.5")
    labelled(store, "0.5")
    monkeypatch.setattr(zarr_layers, "_IN_MEMORY", 1000)
    (layer,) = opened(store / "labels" / "nuclei")
    read: list[int] = []
    whole = zarr.Array.__getitem__

    def watched(array: Any, key: Any) -> Any:
        found = whole(array, key)
        read.append(found.size)
        return found

    monkeypatch.setattr(zarr.Array, "__getitem__", watched)
    viewer = ViewerModel()
    viewer.add_layer(layer)
    viewer.dims.set_current_step(1, 2)
    assert read
    assert max(read) <= 70 * 90


def test_a_long_table_stays_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    monkeypatch.setattr(readers, "show_info", texts.append)
    monkeypatch.setattr(zarr_layers, "MOST_FEATURES", 2)
    store = image_store(tmp_path / "a.zarr", "0.5")
    labelled(store, "0.5", "long", table=TABLE)
    labelled(store, "0.5", "file", table_file=tmp_path / "out" / "a.csv")
    *_, first, second = opened(store)
    assert len(first.features) == len(second.features) == 0
    assert texts == [
        "'long': its table of 3 rows is too long to be shown here.",
        f"'file': its table is too long to be shown here. It is in {tmp_path / 'out' / 'a.csv'}.",
    ]


def test_a_picture_in_colour_is_one_layer(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 40, 50), np.uint8)
    channels = [
        {"label": name, "color": colour} for name, colour in (("R", "FF0000"), ("G", "00FF00"), ("B", "0000FF"))
    ]
    said = multiscale(axes_of("cyx"), 2, [1.0, 0.5, 0.5])
    write_image(tmp_path / "a.zarr", pixels, said, omero={"channels": channels})
    (layer,) = opened(tmp_path / "a.zarr")
    assert layer.rgb
    np.testing.assert_array_equal(layer.data[0], np.moveaxis(pixels, 0, -1))


def test_what_is_no_store_is_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    assert get_reader(str(tmp_path / "pictures")) is None


@pytest.mark.filterwarnings("ignore:color_dict did not provide a default color:UserWarning")
@VERSIONS
def test_napari_ome_zarr_opens_the_same_layers(tmp_path: Path, version: str) -> None:
    foreign: Any = pytest.importorskip("napari_ome_zarr")
    store = image_store(tmp_path / "in" / "a.zarr", version)
    few = {name: values[:2] for name, values in TABLE.items()}
    labelled(store, version, table=few, colours=dict.fromkeys((1, 2, 3), (1, 0, 0, 1)))
    image, labels = (Layer.create(*data) for data in _split(foreign.napari_get_reader(str(store))(str(store))))
    np.testing.assert_array_equal(labels.data[0][0], LABELS)
    assert labels.features["index"].tolist() == [1, 3]
    assert labels.features["area_um2"].tolist() == [150, 12.5]
    np.testing.assert_allclose(labels.colormap.map(3), [1, 0, 0, 1])
    np.testing.assert_allclose(labels.data_to_world([0, 1, 2, 3]), image.data_to_world([0, 1, 2, 3]))
    assert labels.units == image.units


def _split(found: list[Any]) -> list[Any]:
    """Leave of an image its first channel, as napari would make a layer of it."""
    (levels, arguments, kind), labels = found
    assert arguments.pop("channel_axis") == 1
    return [([level[:, 0] for level in levels], arguments, kind), labels]


def test_napari_ome_zarr_opens_a_store_of_labels_and_leaves_other_folders_alone(tmp_path: Path) -> None:
    foreign: Any = pytest.importorskip("napari_ome_zarr")
    path = tmp_path / "one" / "two" / "a_labels.ome.zarr"
    made = create_label_store(path, "nuclei", Image(LABELS[0], scale=(0.5, 0.25), unit="micrometer"), block_side=SIDE)
    write_blocks(made, LABELS[0])
    made.finish()
    _, (levels, arguments, kind) = foreign.napari_get_reader(str(path))(str(path))
    assert kind == "labels"
    assert arguments["name"] == "labels/labels/nuclei"
    np.testing.assert_array_equal(levels[0], LABELS[0])
    assert {one.name for one in tmp_path.rglob("*") if path not in one.parents} == {"one", "two", path.name}
