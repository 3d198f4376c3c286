"""Our own label images, and label files of other programs, as Labels layers."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels
from napari.settings import get_settings
from npe2 import PluginManager
from numpy.typing import NDArray

from napari_unetseg.batch.output_files import ResultKind as Kind
from napari_unetseg.batch.output_files import Target
from napari_unetseg.batch.saving import save_results
from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io.exchange.cellpose_seg import read_seg, write_seg
from napari_unetseg.io.exchange.coco import read_coco, write_coco
from napari_unetseg.io.exchange.labelled_image import LabelledImage
from napari_unetseg.layer_style import AXES_KEY, METADATA_KEY
from napari_unetseg.plugin import readers, writers
from napari_unetseg.plugin.dock.rerun import plan_rerun
from napari_unetseg.plugin.layers.file_layers import FILE_KEY
from napari_unetseg.plugin.readers import get_reader, open_labels
from napari_unetseg.service import RunRecipe, SegmentationService

PLUGIN = "napari-unetseg"


@pytest.fixture(autouse=True)
def plugins() -> None:
    """The readers of this environment, as napari finds them at its start."""
    PluginManager.instance().discover()


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What readers tell."""
    texts: list[str] = []
    monkeypatch.setattr(readers, "show_info", texts.append)
    return texts


@pytest.fixture
def written(service: SegmentationService, squares: NDArray[np.uint16], tmp_path: Path) -> Path:
    """The folder of results of an image, whose pixels are half a micrometre large."""
    image = Image(squares, "YX", scale=(0.5, 0.25), unit="micrometer", name="a.tif", path=str(tmp_path / "a.tif"))
    save_results(service.segment(image), Target(tmp_path, "a"), (Kind.LABELS, Kind.TABLE, Kind.OME_TIFF))
    return tmp_path


def opened(path: Path) -> Labels:
    (layer,) = ViewerModel().open(path, plugin=PLUGIN)
    assert isinstance(layer, Labels)
    return layer


@pytest.mark.parametrize("ending", ["labels.tif", "labels.ome.tif"])
def test_a_label_image_comes_back_with_table_size_and_record(
    written: Path, squares: NDArray[np.uint16], ending: str, shown: list[str]
) -> None:
    layer = opened(written / f"a_{ending}")
    assert np.unique(layer.data).tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(layer.data > 0, squares > 0)
    assert layer.name == "a labels"
    assert layer.scale.tolist() == [0.5, 0.25]
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    assert layer.features["index"].tolist() == [1, 2, 3]
    assert layer.features["area_px"].tolist() == [64, 36, 16]
    assert layer.metadata[FILE_KEY] == str(written / f"a_{ending}")
    assert layer.metadata[METADATA_KEY][AXES_KEY] == ["Y", "X"]
    recipe = RunRecipe.of(layer.metadata[METADATA_KEY])
    assert (recipe.model.name, recipe.source.path) == ("bright", str(written / "a.tif"))
    assert shown == []


def test_what_made_it_can_be_run_again_on_the_image_of_the_same_file(
    written: Path, squares: NDArray[np.uint16]
) -> None:
    tifffile.imwrite(written / "a.tif", squares)
    viewer = ViewerModel()
    (image,) = viewer.open(written / "a.tif", plugin="napari")
    (labels,) = viewer.open(written / "a_labels.tif", plugin=PLUGIN)
    recipe, plane = plan_rerun(labels.metadata[METADATA_KEY], viewer.layers, None)
    assert plane.source is image
    assert recipe.parameters.threshold == 0.5


def test_a_table_of_other_objects_is_left_out_and_told(written: Path, shown: list[str]) -> None:
    path = written / "a_labels.tif"
    labels = tifffile.imread(path)
    labels[labels == 2] = 1
    tifffile.imwrite(path, labels)
    layer = opened(path)
    assert "area_px" not in layer.features
    assert METADATA_KEY not in layer.metadata
    assert shown == ["a_table.csv is of other objects than a_labels.tif, which was changed since. Measure again."]
    (written / "a_table.csv").write_text("x\n1\n")
    opened(path)
    assert "a_table.csv: cannot be read as a table" in shown[-1]


def test_what_is_called_so_but_is_no_label_image_opens_as_ever(tmp_path: Path) -> None:
    for name, array in (("grey_labels.tif", np.ones((8, 9), np.float32)), ("rgb_labels.tif", np.ones((8, 9, 3), "u1"))):
        tifffile.imwrite(tmp_path / name, array, photometric="rgb" if array.ndim == 3 else None)
        (layer,) = ViewerModel().open(tmp_path / name, plugin=PLUGIN)
        assert isinstance(layer, ImageLayer)
        np.testing.assert_array_equal(layer.data, array)


def test_masks_of_other_programs_that_are_called_so_are_labels(tmp_path: Path) -> None:
    stack = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    tifffile.imwrite(tmp_path / "b_labels.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    layer = opened(tmp_path / "b_labels.tif")
    np.testing.assert_array_equal(layer.data, stack)
    assert layer.axis_labels == ("z", "y", "x")


def test_label_images_of_one_size_open_as_a_stack(written: Path) -> None:
    (written / "b_labels.tif").write_bytes((written / "a_labels.tif").read_bytes())
    paths = [str(written / f"{name}_labels.tif") for name in "ab"]
    (layer,) = ViewerModel().open(paths, stack=True, plugin=PLUGIN)
    assert isinstance(layer, Labels)
    assert layer.data.shape == (2, 48, 64)
    tifffile.imwrite(paths[1], np.ones((3, 3), np.uint8))
    with pytest.raises(UnetsegError, match="differ in size"):
        readers.open_label_stack(paths)


def test_napari_asks_once_and_only_for_our_names(
    written: Path, monkeypatch: pytest.MonkeyPatch, shown: list[str]
) -> None:
    monkeypatch.setattr(readers, "current_viewer", lambda: None)
    plugins = get_settings().plugins
    plugins.extension2reader = {}
    open_labels(str(written / "a_labels.tif"))
    assert plugins.extension2reader == {}, "a script changes no preferences"
    monkeypatch.setattr(readers, "current_viewer", ViewerModel)
    open_labels(str(written / "a_labels.tif"))
    assert plugins.extension2reader == {"*_labels.tif": PLUGIN, "*_labels.ome.tif": PLUGIN}
    assert shown == [
        "From now on *_labels.tif and *_labels.ome.tif open in this way. Preferences > Plugins changes it."
    ]
    viewer = ViewerModel()
    tifffile.imwrite(written / "plain.tif", np.ones((8, 9), np.uint8))
    # By whatever plugin is chosen: napari would refuse where it had to ask.
    assert isinstance(viewer.open(written / "a_labels.tif", plugin=None)[0], Labels)
    assert isinstance(viewer.open(written / "plain.tif", plugin=None)[0], ImageLayer)
    plugins.extension2reader = {"*.tif": "napari"}
    open_labels(str(written / "a_labels.tif"))
    assert plugins.extension2reader == {"*.tif": "napari"}, "what somebody chose is left alone"
    plugins.extension2reader = {}


def test_files_of_cellpose_and_of_coco(tmp_path: Path, shown: list[str]) -> None:
    labels = np.zeros((6, 9), np.int32)
    labels[1:3, 1:4], labels[4:6, 2:9] = 1, 5
    write_seg(tmp_path / "c_seg.npy", labels, "c.tif")
    image = LabelledImage("d.png", labels, {1: "round", 5: "long"}, {5: 0.5})
    write_coco(tmp_path / "d_coco.json", [image])
    write_coco(tmp_path / "annotations.json", [image, image])
    seg, coco = opened(tmp_path / "c_seg.npy"), opened(tmp_path / "d_coco.json")
    for layer, name in ((seg, "c labels"), (coco, "d labels")):
        np.testing.assert_array_equal(layer.data, labels)
        assert layer.name == name
    assert coco.features["class"].tolist() == ["round", "long"]
    assert coco.features["score"].tolist()[1] == 0.5
    with pytest.raises(UnetsegError, match=r"is not of one image alone\. 'napari-unetseg labels"):
        readers.open_exchange(str(tmp_path / "annotations.json"))
    (tmp_path / "instances_x.json").write_text(json.dumps({"type": "FeatureCollection"}))
    assert get_reader(str(tmp_path / "instances_x.json")) is None


def test_labels_are_saved_for_coco_and_cellpose(tmp_path: Path) -> None:
    labels = np.zeros((6, 9), np.int32)
    labels[1:3, 1:4], labels[4:6, 2:9] = 1, 5
    layer = Labels(labels, name="cells", features={"index": [1, 5], "class": ["round", None]})
    assert layer.save(str(tmp_path / "e.json"), plugin=PLUGIN) == [str(tmp_path / "e.json")]
    assert layer.save(str(tmp_path / "e_seg.npy"), plugin=PLUGIN) == [str(tmp_path / "e_seg.npy")]
    (coco,) = read_coco(tmp_path / "e.json")
    assert (coco.name, dict(coco.classes)) == ("e", {1: "round", 5: "object"})
    for saved in (coco.labels, read_seg(tmp_path / "e_seg.npy").labels):
        np.testing.assert_array_equal(saved, labels)
    for data, reason in ((np.stack([labels, labels]), "is a stack"), (labels - 1, "negative labels")):
        with pytest.raises(UnetsegError, match=reason):
            writers.save_labels_as_coco(str(tmp_path / "f.json"), data, {"name": "cells"})


def test_labels_of_a_region_are_saved_where_they_lie_in_the_image(tmp_path: Path) -> None:
    record = {"region": [[2, 4], [3, 7]], "plane_size": [6, 9], "image": "whole.tif", "model": "nuclei"}
    meta = {"name": "part", "metadata": {METADATA_KEY: record}}
    writers.save_labels_as_coco(str(tmp_path / "g.json"), np.ones((2, 4), np.int32), meta)
    (coco,) = read_coco(tmp_path / "g.json")
    assert (coco.name, coco.labels.shape, coco.class_of(1)) == ("whole.tif", (6, 9), "nuclei")
    assert coco.labels[2:4, 3:7].all()
    assert coco.labels.sum() == 8


def test_an_image_among_label_images_leaves_them_to_napari(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{name}_labels.tif") for name in "ab"]
    for path, dtype in zip(paths, (np.float32, np.uint16), strict=True):
        tifffile.imwrite(path, np.eye(8, dtype=dtype))
    ((stack, *_),) = readers.open_label_stack(paths)
    assert stack.shape == (2, 8, 8)


def test_planes_of_a_stack_keep_the_size_of_their_pixels(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{name}_labels.ome.tif") for name in "ab"]
    for path in paths:
        sizes = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
        tifffile.imwrite(path, np.eye(8, dtype=np.uint16), metadata=sizes)
    ((_, arguments, kind),) = readers.open_label_stack(paths)
    assert kind == "labels"
    assert tuple(arguments["scale"]) == (1, 0.25, 0.5)
    assert Labels(np.zeros((2, 8, 8), np.uint16), **arguments).units[0] == "pixel"
