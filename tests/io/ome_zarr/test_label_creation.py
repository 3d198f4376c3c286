"""Where labels can be written, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from tests.io.ome_zarr.foreign_writers import axes_of, multiscale, write_image
from tests.io.ome_zarr.written_labels import LABELS, PIXELS, SIDE, attributes, image_store, labelled, write_blocks

from napari_unetseg.errors import ImageError, ParameterError, UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io import read_image
from napari_unetseg.io.ome_zarr.label_creation import create_label_store, create_labels
from napari_unetseg.io.ome_zarr.labels import labels_in, open_labels

PLANE = Image(PIXELS[0, 0, 0], scale=(0.5, 0.25), unit="micrometer", name="a.tif")


def test_labels_have_as_many_levels_as_their_image(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    write_image(store, PIXELS[0, 0, 0], multiscale(axes_of("yx"), 4, [0.5, 0.5]), zarr_format=3)
    labels = create_labels(store, "nuclei", read_image(store), block_side=SIDE)
    assert [array.shape for array in labels.arrays] == [(70, 90), (35, 45), (18, 23), (9, 12)]


def test_steps_of_four_are_taken_over(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    group = write_image(store, PIXELS[0, 0, 0], multiscale(axes_of("yx"), 1, [0.5, 0.5]), zarr_format=3)
    group.create_array("1", data=PIXELS[0, 0, 0, ::4, ::4])
    said = group.attrs.asdict()
    scale = {"type": "scale", "scale": [2.0, 2.0]}
    said["ome"]["multiscales"][0]["datasets"].append({"path": "1", "coordinateTransformations": [scale]})
    group.attrs.put(said)
    labels = create_labels(store, "nuclei", read_image(store), block_side=SIDE)
    assert labels.strides == (1, 4)
    write_blocks(labels, LABELS[0])
    finished = labels.finish()
    np.testing.assert_array_equal(finished.arrays[1][...], LABELS[0, ::4, ::4])
    assert finished.attributes["multiscales"][0]["datasets"][1]["coordinateTransformations"] == [scale]


def test_labels_of_a_lower_level_lie_where_that_lies(tmp_path: Path) -> None:
    store = image_store(tmp_path / "a.zarr", "0.4")
    labels = create_labels(store, "nuclei", read_image(store, level=1), block_side=SIDE, level=1)
    assert labels.arrays[0].shape == (1, 3, 35, 45)
    assert len(labels.arrays) == 3
    assert labels.scale == (1, 2, 1, 0.5)
    assert labels.translation == (0, 0, 0.25, 0.125)


def test_labels_go_into_the_image_that_bioformats2raw_puts_into_a_group(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2, attributes={"bioformats2raw.layout": 3})
    write_image(group.create_group("0"), PIXELS[0, 0, 0], multiscale(axes_of("yx"), 1, [0.5, 0.5]))
    labels = create_labels(tmp_path / "a.zarr", "nuclei", read_image(tmp_path / "a.zarr"), block_side=SIDE).finish()
    assert labels.path == str(tmp_path / "a.zarr" / "0" / "labels" / "nuclei")


def test_a_large_image_without_levels_gets_labels_with_some(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    write_image(store, np.zeros((4, 5000), np.uint8), multiscale(axes_of("yx"), 1, [0.5, 0.5]), chunk=512)
    labels = create_labels(store, "nuclei", read_image(store), block_side=2048)
    assert [array.shape[1] for array in labels.arrays] == [5000, 2500, 1250, 625]


def test_a_part_of_an_image_is_refused(tmp_path: Path) -> None:
    store = image_store(tmp_path / "a.zarr", "0.5")
    with pytest.raises(ImageError, match=r"a\.zarr: what was segmented \(YX, 70 x 90\) is not the whole image"):
        create_labels(store, "nuclei", read_image(store).take_channel(0).plane((0,)), block_side=SIDE)
    assert not (store / "labels").exists()


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is no folder"):
        create_labels(tmp_path / "none.zarr", "nuclei", PLANE, block_side=SIDE)
    zarr.open_group(tmp_path / "empty.zarr", mode="w")
    with pytest.raises(ImageError, match="holds no image"):
        create_labels(tmp_path / "empty.zarr", "nuclei", PLANE, block_side=SIDE)


@pytest.mark.parametrize("name", ["", "a/b", "..", ".zattrs", "a:b", "__a"])
def test_names_that_are_paths_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ParameterError, match="cannot be the name of a label image"):
        create_label_store(tmp_path / "a_labels.ome.zarr", name, PLANE, block_side=SIDE)


def test_finished_labels_are_replaced_only_when_asked(tmp_path: Path) -> None:
    store = image_store(tmp_path / "a.zarr", "0.5")
    labelled(store, "0.5")
    labelled(store, "0.5", "others")
    with pytest.raises(UnetsegError, match="there are labels already"):
        create_labels(store, "nuclei", read_image(store), block_side=SIDE)
    new = create_labels(store, "nuclei", read_image(store), block_side=SIDE, replace=True)
    assert not new.arrays[0][...].any()
    assert [Path(path).name for path in labels_in(store)] == ["others"]
    new.finish()
    assert [Path(path).name for path in labels_in(store)] == ["others", "nuclei"]


def test_unfinished_labels_are_begun_anew(tmp_path: Path) -> None:
    store = image_store(tmp_path / "a.zarr", "0.5")
    write_blocks(create_labels(store, "nuclei", read_image(store), block_side=SIDE), LABELS)
    assert not create_labels(store, "nuclei", read_image(store), block_side=SIDE).arrays[0][...].any()


def test_a_store_of_labels_is_an_image_of_the_same_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a_labels.ome.zarr"
    labels = create_label_store(path, "nuclei", PLANE, block_side=SIDE)
    write_blocks(labels, LABELS[0])
    labels.finish()
    assert labels_in(path) == (str(path / "labels" / "nuclei"),)
    read = read_image(path)
    np.testing.assert_array_equal(read.array, LABELS[0])
    assert (read.scale, read.unit) == ((0.5, 0.25), "micrometer")
    assert attributes(path)["ome"]["multiscales"][0]["datasets"][0]["path"] == "labels/nuclei/0"
    assert len([one for one in path.rglob("zarr.json") if '"shape"' in one.read_text()]) == 1


def test_a_store_takes_no_folder_that_has_other_things(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(UnetsegError, match="there is something else already"):
        create_label_store(tmp_path / "mine", "nuclei", PLANE, block_side=SIDE, replace=True)
    image_store(tmp_path / "image.zarr", "0.5")
    with pytest.raises(UnetsegError, match="there is something else already"):
        create_label_store(tmp_path / "image.zarr", "nuclei", PLANE, block_side=SIDE, replace=True)


def test_a_store_holds_the_labels_of_one_run(tmp_path: Path) -> None:
    path = tmp_path / "a_labels.ome.zarr"
    create_label_store(path, "nuclei", PLANE, block_side=SIDE).finish()
    with pytest.raises(UnetsegError, match="there are labels already"):
        create_label_store(path, "cells", PLANE, block_side=SIDE)
    create_label_store(path, "cells", PLANE, block_side=SIDE, replace=True).finish()
    assert labels_in(path) == (str(path / "labels" / "cells"),)


def test_what_a_killed_process_left_of_a_store_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "zarr.json.0123.partial").touch()
    create_label_store(tmp_path / "a", "nuclei", PLANE, block_side=SIDE)
    assert "ome" not in attributes(tmp_path / "a"), "readers know of it once it is finished"
    (tmp_path / "a" / "labels" / "nuclei" / "zarr.json").unlink()
    assert create_label_store(tmp_path / "a", "nuclei", PLANE, block_side=SIDE).finish().is_finished


def test_steps_along_a_stack_are_stated(tmp_path: Path) -> None:
    image = Image(PIXELS[0, 0], "ZYX", scale=(0.5, 0.25), unit="micrometer", steps={"Z": (2.0, "micrometer")})
    labels = create_label_store(tmp_path / "a", "nuclei", image, block_side=SIDE).finish()
    assert (labels.scale, labels.units) == ((2.0, 0.5, 0.25), ("micrometer",) * 3)
    unknown = create_label_store(tmp_path / "b", "nuclei", Image(PIXELS[0, 0], "TYX"), block_side=SIDE)
    assert (open_labels(unknown.path).scale, unknown.units) == ((1, 1, 1), (None,) * 3)


@pytest.mark.parametrize("at", ["create_arrays", "shutil.rmtree"])
def test_a_process_that_is_killed_while_it_replaces_labels_leaves_no_half_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    store = image_store(tmp_path / "a.zarr", "0.4")
    image = read_image(store)
    create_labels(store, "nuclei", image, block_side=SIDE).finish(provenance={"model": "x"})

    def killed(folder: object, *_: object, **__: object) -> None:
        if isinstance(folder, Path):
            (folder / ".zattrs").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"napari_unetseg.io.ome_zarr.label_creation.{at}", killed)
        with pytest.raises(KeyboardInterrupt):
            create_labels(store, "nuclei", image, block_side=SIDE, replace=True)
    folder = store / "labels" / "nuclei"
    assert not folder.exists() or open_labels(folder).is_finished
    create_labels(store, "nuclei", image, block_side=SIDE, replace=True).finish()
    assert {path.name for path in folder.parent.iterdir()} == {".zattrs", ".zgroup", "nuclei"}
