"""What other programs keep of all images of a folder together."""

import contextlib
import io
import json

import numpy as np
import pytest
import yaml
from pycocotools.coco import COCO

from napari_unetseg.batch.output_files import OTHER_PROGRAMS, ResultKind, Target
from napari_unetseg.batch.saving import save_results
from napari_unetseg.image import Image
from napari_unetseg.io import read_image
from napari_unetseg.io.exchange.cellpose_seg import read_seg
from napari_unetseg.io.exchange.coco import read_coco
from napari_unetseg.io.exchange.yolo import read_yolo
from napari_unetseg.segment_options import SegmentOptions


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_folder_is_one_data_set_of_coco_and_one_of_yolo(results, save):
    for name, objects in (("a.tif", 3), ("b.tif", 0), ("c.tif", 5)):
        save(name, objects)
    out = results(*OTHER_PROGRAMS)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(out / "annotations.json"))
    assert [image["file_name"] for image in coco.imgs.values()] == ["a.tif", "b.tif", "c.tif"]
    assert [category["name"] for category in coco.cats.values()] == ["fake"]
    for number, name in enumerate("abc", 1):
        labels = read_image(out / f"{name}_labels.tif").array
        found = np.zeros_like(labels)
        for annotation in coco.loadAnns(coco.getAnnIds(number)):
            assert 0 < annotation["score"] <= 1
            found[coco.annToMask(annotation).astype(bool)] = annotation["label"]
        np.testing.assert_array_equal(found, labels)
        np.testing.assert_array_equal(read_yolo(out / "yolo" / "labels" / f"{name}.txt", labels.shape).labels, labels)
        seg = read_seg(out / f"{name}_seg.npy")
        np.testing.assert_array_equal(seg.labels, labels)
        assert seg.name == f"{name}.tif"
    assert yaml.safe_load((out / "yolo" / "data.yaml").read_text())["names"] == {0: "fake"}


def test_what_another_run_adds_is_in_it_and_nothing_of_it_is_taken_for_an_image(results, save):
    save("a.tif", 3)
    results(ResultKind.COCO)
    save("b.tif", 2)
    out = results(ResultKind.COCO)
    document = json.loads((out / "annotations.json").read_text())
    assert [image["file_name"] for image in document["images"]] == ["a.tif", "b.tif"]
    assert len(document["annotations"]) == 5
    assert not (out / "yolo").exists()


def test_a_scene_of_a_microscope_is_called_as_its_results_are(service, tmp_path):
    for name, called in (("a.lif/Series 3", "a_Series 3.tif"), ("a.tif", "a.tif")):
        image = Image(np.full((32, 32), 900, np.uint16), name=name)
        segmentation = service._segment(image, SegmentOptions.of())
        save_results(segmentation, Target(tmp_path, "a_Series 3"), [ResultKind.COCO])
        (read,) = read_coco(tmp_path / "a_Series 3_coco.json")
        assert read.name == called


def test_stacks_are_refused_before_the_network_runs(results, folder, service):
    np.save(folder / "z.npy", np.full((3, 32, 32), 900, np.uint16))
    out = results(ResultKind.COCO, read_options={"axes": "ZYX"})
    assert not (out / "z_coco.json").exists()
    assert "coco files are of one plane" in (out / "segmentation_files.csv").read_text()
    assert service.seen == []
