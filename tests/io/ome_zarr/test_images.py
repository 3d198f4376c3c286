"""Images of OME-Zarr in the many shapes in which programs leave them."""

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from tests.io.ome_zarr.foreign_writers import axes_of, multiscale, write_image, write_plate

from napari_unetseg.errors import ImageError
from napari_unetseg.io import read_image, read_label_image
from napari_unetseg.io.ome_zarr.images import open_image
from napari_unetseg.lazy_array import LazyArray

STACK = np.random.default_rng(0).integers(0, 4000, (1, 2, 3, 40, 56), np.uint16)
PLANE = STACK[0, 0, 0]
SCALES = [1.0, 1.0, 2.0, 0.5, 0.25]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where a server gives out the files of the folder of this test."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def plane(path: Path, **options: Any) -> zarr.Group:
    return write_image(path, PLANE, multiscale(axes_of("yx"), 2, SCALES[-2:]), **options)


@pytest.mark.parametrize("options", [{}, {"zarr_format": 3}, {"zarr_format": 3, "shard": 32}, {"separator": "."}])
def test_both_versions_are_read_with_axes_sizes_and_levels(tmp_path: Path, options: dict[str, Any]) -> None:
    metadata = multiscale(axes_of("tczyx"), 2, SCALES, version="0.4", name="ignored")
    write_image(tmp_path / "a.ome.zarr", STACK, metadata, **options)
    image = read_image(tmp_path / "a.ome.zarr")
    assert (image.axes, image.name, image.path) == ("CZYX", "a.ome.zarr", str(tmp_path / "a.ome.zarr"))
    assert (image.scale, image.unit) == ((0.5, 0.25), "micrometer")
    assert (dict(image.steps), image.remarks, image.rgb) == ({"Z": (2.0, "micrometer")}, (), False)
    assert isinstance(image.array, LazyArray)
    np.testing.assert_array_equal(image.array, STACK[0])
    np.testing.assert_array_equal(image.take_channel(1).plane((2,)).array, STACK[0, 1, 2])
    half = read_image(tmp_path / "a.ome.zarr", level="1 µm")
    assert half.scale == (1.0, 0.5)
    np.testing.assert_array_equal(half.array, STACK[0, :, :, ::2, ::2])


def test_what_ome_zarr_py_writes(tmp_path: Path) -> None:
    # Levels are called s0, s1..., axes have no unit, and there is a group of labels that lists its images.
    metadata = multiscale(axes_of("cyx", {}), 2, [1.0, 1.0, 1.0], ["s0", "s1"], name="/")
    group = write_image(tmp_path / "a.zarr", STACK[0, :, 0], metadata, omero={"channels": [{"label": "DAPI"}, {}]})
    labels = group.create_group("labels")
    labels.attrs["labels"] = ["nuclei"]
    numbers = (PLANE // 100).astype(np.int32)
    said = multiscale(axes_of("yx"), 2, [0.5, 0.5], ["s0", "s1"])
    write_image(labels.create_group("nuclei"), numbers, said, **{"image-label": {"version": "0.4"}})
    image = read_image(tmp_path / "a.zarr")
    assert (image.axes, image.scale, image.unit) == ("CYX", None, None)
    opened = open_image(tmp_path / "a.zarr")
    assert ([channel.label for channel in opened.channels], opened.label_names) == (["DAPI", None], ("nuclei",))
    for path in ("a.zarr/labels/nuclei", "a.zarr/labels"):
        found = read_label_image(tmp_path / path)
        assert (found.axes, found.scale) == ("YX", (0.5, 0.5))
        np.testing.assert_array_equal(found.array, numbers)
    assert open_image(tmp_path / "a.zarr" / "labels").is_labels


@pytest.mark.parametrize("listed", [True, False])
def test_what_bioformats2raw_writes(tmp_path: Path, listed: bool) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    (tmp_path / "a.zarr" / "OME").mkdir()
    if listed:
        group.create_group("OME").attrs["series"] = ["0"]
    metadata = multiscale(
        axes_of("tczyx"), 2, SCALES, version="0.4", metadata={"method": "loci.common.image.SimpleIma"}
    )
    write_image(group.create_group("0"), STACK, metadata, _creator={"name": "omero-zarr"})
    image = read_image(tmp_path / "a.zarr")
    assert (image.axes, image.name) == ("CZYX", "a.zarr/0")
    np.testing.assert_array_equal(image.array, STACK[0])
    if listed:
        group["OME"].attrs["series"] = ["0", "1"]
    write_image(group.create_group("1"), STACK, metadata)
    with pytest.raises(ImageError, match=r"holds 2 images; name one of them: \S+a.zarr/0, \S+a.zarr/1\."):
        read_image(tmp_path / "a.zarr")
    assert read_image(tmp_path / "a.zarr" / "1").name == "a.zarr/1"


@pytest.mark.parametrize("version", ["0.1", "0.3"])
def test_what_old_versions_leave_out(tmp_path: Path, version: str) -> None:
    metadata = {"version": version, "datasets": [{"path": "0"}, {"path": "1"}]}
    if version == "0.3":
        metadata["axes"] = list("tczyx")
    write_image(tmp_path / "a.zarr", STACK, metadata, separator="." if version == "0.1" else "/")
    image = read_image(tmp_path / "a.zarr", level=1)
    assert (image.axes, image.scale) == ("CZYX", None)
    np.testing.assert_array_equal(image.array, STACK[0, :, :, ::2, ::2])
    assert open_image(tmp_path / "a.zarr").levels[1].scale == (1, 1, 1, 2, 2)


@pytest.mark.parametrize(
    ("axes", "letters"),
    [
        (axes_of("zyx"), "ZYX"),
        ([{"name": "Z"}, {"name": "Y"}, {"name": "X"}], "ZYX"),
        (
            [{"name": "frame", "type": "time"}, {"name": "row", "type": "space"}, {"name": "col", "type": "space"}],
            "TYX",
        ),
        ([{"name": "phase"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}], "PYX"),
        ([{"name": "y", "type": "space"}, {"name": "x", "type": "space"}, {"name": "rgb", "type": "channel"}], "YXC"),
    ],
)
def test_axes_are_read_by_name_and_else_by_kind(tmp_path: Path, axes: Any, letters: str) -> None:
    pixels = STACK[0, 0]
    group = write_image(tmp_path / "a.zarr", pixels, {"axes": axes, "datasets": [{"path": "0"}]})
    assert group is not None
    image = read_image(tmp_path / "a.zarr")
    assert image.axes == letters
    np.testing.assert_array_equal(image.array, pixels)


@pytest.mark.parametrize(("stated", "letters"), [("xyz", "YXZ"), ("yxc", "YXC"), ("ycx", "CYX"), ("xcy", "CYX")])
def test_axes_of_any_order_become_those_of_an_image(tmp_path: Path, stated: str, letters: str) -> None:
    metadata = {"axes": axes_of(stated), "datasets": [{"path": "0"}]}
    write_image(tmp_path / "a.zarr", STACK[0, 0], metadata)
    image = read_image(tmp_path / "a.zarr")
    assert image.axes == letters
    order = [stated.upper().index(letter) for letter in letters]
    np.testing.assert_array_equal(image.array, STACK[0, 0].transpose(order))


def test_axes_that_somebody_names_replace_others(tmp_path: Path) -> None:
    write_image(tmp_path / "a.zarr", STACK[:, 0], multiscale(axes_of("tzyx"), 1, [1, 2, 0.5, 0.5]))
    for named, axes in {"ZYX": "ZYX", "YXZ": "ZYX", "TYX": "TYX", "ZTYX": "ZYX", "CTYX": "TYX", "CYX": "CYX"}.items():
        assert read_image(tmp_path / "a.zarr", axes=named).axes == axes
    with pytest.raises(ImageError, match="3 dimensions cannot be read as YX"):
        read_image(tmp_path / "a.zarr", axes="YX")


def test_both_transformations_are_put_together(tmp_path: Path) -> None:
    whole = [{"type": "scale", "scale": [10.0, 4.0, 4.0]}, {"type": "translation", "translation": [0.0, 5.0, 6.0]}]
    metadata = multiscale(axes_of("tyx"), 2, [1.0, 0.5, 0.25], coordinateTransformations=whole)
    write_image(tmp_path / "a.zarr", STACK[0, 0], metadata)
    opened = open_image(tmp_path / "a.zarr")
    assert [level.scale for level in opened.levels] == [(10.0, 2.0, 1.0), (10.0, 4.0, 2.0)]
    assert [level.translation for level in opened.levels] == [(0.0, 5.0, 6.0), (0.0, 6.0, 6.5)]
    image = opened.image(1)
    assert (image.scale, dict(image.steps)) == ((4.0, 2.0), {"T": (10.0, "second")})


def test_a_scale_may_lie_in_an_array(tmp_path: Path) -> None:
    metadata = multiscale(axes_of("yx"), 1, [1.0, 1.0])
    metadata["datasets"][0]["coordinateTransformations"] = [{"type": "scale", "path": "sizes"}]
    write_image(tmp_path / "a.zarr", PLANE, metadata).create_array("sizes", data=np.array([0.5, 0.25]))
    assert read_image(tmp_path / "a.zarr").scale == (0.5, 0.25)


@pytest.mark.parametrize("case", ["unit", "kind"])
def test_a_size_that_is_not_known_is_left_out_and_said(tmp_path: Path, case: str) -> None:
    units = {"y": "furlong", "x": "furlong"} if case == "unit" else {"y": "micrometer", "x": "micrometer"}
    metadata = multiscale(axes_of("yx", units), 1, [0.5, 0.5])
    if case == "kind":
        metadata["coordinateTransformations"] = [{"type": "affine", "affine": [[1, 0, 0], [0, 1, 0]]}]
    write_image(tmp_path / "a.zarr", PLANE, metadata)
    image = read_image(tmp_path / "a.zarr")
    assert (image.scale, image.unit) == (None, None)
    assert ("furlong" if case == "unit" else "not read (affine)") in " ".join(image.remarks)


@pytest.mark.parametrize(
    ("names", "colours", "rgb"),
    [
        (["Red", "Green", "Blue"], ["FF0000", "00FF00", "0000FF"], True),
        (["Channel 0", "Channel 1", "Channel 2"], ["FF0000", "00FF00", "0000FF"], True),
        (["DAPI", "GFP", "Cy5"], ["FF0000", "00FF00", "0000FF"], False),
        (["0", "1", "2"], ["FFFFFF", "00FF00", "0000FF"], False),
        ([], [], False),
    ],
)
def test_colours_of_a_slide_are_told_from_stains(
    tmp_path: Path, names: list[str], colours: list[str], rgb: bool
) -> None:
    channels = [{"label": name, "color": colour} for name, colour in zip(names, colours, strict=True)]
    pixels = STACK[0, 0].astype(np.uint8)
    write_image(tmp_path / "a.zarr", pixels, multiscale(axes_of("cyx"), 1, [1, 1, 1]), omero={"channels": channels})
    image = read_image(tmp_path / "a.zarr")
    assert (image.rgb, len(image.remarks)) == (rgb, int(rgb))


def test_numbers_of_another_byte_order_become_those_of_this_machine(tmp_path: Path) -> None:
    write_image(tmp_path / "a.zarr", PLANE.astype(">u2"), multiscale(axes_of("yx"), 1, [1, 1]))
    image = read_image(tmp_path / "a.zarr")
    assert (image.array.dtype, np.asarray(image.array).dtype) == (np.dtype(np.uint16),) * 2
    np.testing.assert_array_equal(image.array, PLANE)


@pytest.mark.parametrize("options", [{}, {"zarr_format": 3, "shard": 32}])
@pytest.mark.parametrize("inside", [True, False])
def test_archives_are_read_whether_they_hold_the_folder_or_what_is_in_it(
    tmp_path: Path, options: dict[str, Any], inside: bool
) -> None:
    plane(tmp_path / "a.zarr", **options)
    archive = shutil.make_archive(str(tmp_path / "a.zarr"), "zip", tmp_path, "a.zarr" if inside else None)
    if not inside:
        archive = shutil.make_archive(str(tmp_path / "b"), "zip", tmp_path / "a.zarr")
    shutil.rmtree(tmp_path / "a.zarr")
    image = read_image(archive)
    assert image.path == archive
    np.testing.assert_array_equal(image.array, PLANE)


@pytest.mark.parametrize("options", [{}, {"zarr_format": 3, "shard": 32}])
def test_an_address_is_read_as_a_folder_is(tmp_path: Path, address: str, options: dict[str, Any]) -> None:
    plane(tmp_path / "a.zarr", **options)
    image = read_image(f"{address}/a.zarr/", level=1)
    assert (image.path, image.name, image.scale) == (f"{address}/a.zarr", "a.zarr", (1.0, 0.5))
    np.testing.assert_array_equal(image.array, PLANE[::2, ::2])
    with pytest.raises(ImageError, match=r"b\.zarr: there is no OME-Zarr"):
        read_image(f"{address}/b.zarr")


def test_an_address_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ImageError, match=r"abc://x\.zarr: cannot be opened"):
        read_image("abc://x.zarr")


@pytest.mark.parametrize(
    ("address", "command"),
    [("s3://bucket/x.zarr", 'pip install "s3fs"'), ("https://a.org/x.zarr", 'pip install "napari-unetseg[url]"')],
)
def test_what_is_not_installed_for_an_address_is_said(
    monkeypatch: pytest.MonkeyPatch, address: str, command: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ImportError("there is no such library")

    monkeypatch.setattr("fsspec.url_to_fs", refuse)
    with pytest.raises(ImageError, match=re.escape(f"(there is no such library). Install it with {command}.")):
        read_image(address)


def test_a_region_reads_its_chunks_alone_from_any_thread(tmp_path: Path) -> None:
    plane(tmp_path / "a.zarr")
    broken = [path for path in (tmp_path / "a.zarr" / "0").glob("*/*") if path.parent.name != "1"]
    assert len(broken) == 8
    for path in broken:
        path.write_bytes(b"damaged")
    array: Any = read_image(tmp_path / "a.zarr").array
    with ThreadPoolExecutor(8) as threads:
        for found in threads.map(lambda _: np.asarray(array[16:32, 5:50]), range(20)):
            np.testing.assert_array_equal(found, PLANE[16:32, 5:50])
    with pytest.raises(ImageError, match=r"a.zarr/0: its pixels at 15:17, 0:56 cannot be read"):
        np.asarray(array[15:17])


def _missing_level(folder: Path) -> None:
    shutil.rmtree(folder / "1")


def _too_many_axes(folder: Path) -> None:
    group = zarr.open_group(folder)
    group.attrs["multiscales"] = [multiscale(axes_of("zyx"), 1, [1, 1, 1])]


def _no_datasets(folder: Path) -> None:
    zarr.open_group(folder).attrs["multiscales"] = [{"axes": axes_of("yx"), "datasets": []}]


def _no_path(folder: Path) -> None:
    zarr.open_group(folder).attrs["multiscales"] = [{"axes": axes_of("yx"), "datasets": [{}]}]


def _short_scale(folder: Path) -> None:
    zarr.open_group(folder).attrs["multiscales"] = [multiscale(axes_of("yx"), 1, [1, 1, 1])]


def _no_axes(folder: Path) -> None:
    zarr.open_group(folder).attrs["multiscales"] = [multiscale([{"name": "a"}, {"name": "b"}], 1, [1, 1])]


def _newer(folder: Path) -> None:
    zarr.open_group(folder).attrs["ome"] = {"version": "0.6", "multiscales": []}


def _no_json(folder: Path) -> None:
    (folder / ".zattrs").write_text("{")


def _nothing(folder: Path) -> None:
    zarr.open_group(folder).attrs.put({})


def _plate(folder: Path) -> None:
    shutil.rmtree(folder)
    write_plate(folder, {"A/1": [PLANE]})


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_missing_level, "name the array 1, which is missing"),
        (_too_many_axes, "name 3 axes, but the array 0 has 2"),
        (_no_datasets, r"multiscales\.0\.datasets: Tuple should have at least 1 item"),
        (_no_path, r"multiscales\.0\.datasets\.0\.path: Field required"),
        (_short_scale, r"coordinateTransformations\.scale: has 3 numbers for 2 axes"),
        (_no_axes, "name the axes a, b, two of which have to be y and x"),
        (_newer, r"is OME-Zarr 0\.6, of which only versions up to 0\.5 are read"),
        (_no_json, "cannot be opened as OME-Zarr"),
        (_nothing, "have no multiscales"),
        (
            _plate,
            "is a plate, which holds many images. Segment it in the window of plates or by napari-unetseg",
        ),
        (shutil.rmtree, "a.zarr: there is no such file"),
    ],
)
def test_what_is_damaged_or_of_another_kind_is_said(tmp_path: Path, damage: Callable[[Path], None], said: str) -> None:
    plane(tmp_path / "a.zarr")
    damage(tmp_path / "a.zarr")
    with pytest.raises(ImageError, match=said) as error:
        read_image(tmp_path / "a.zarr")
    assert "a.zarr" in str(error.value)


def test_an_array_alone_and_texts_are_no_image(tmp_path: Path) -> None:
    plane(tmp_path / "a.zarr")
    with pytest.raises(ImageError, match="is one array of an OME-Zarr; name the folder"):
        read_image(tmp_path / "a.zarr" / "0")
    write_image(tmp_path / "b.zarr", np.ones((4, 4), complex), multiscale(axes_of("yx"), 1, [1, 1]))
    with pytest.raises(ImageError, match="complex128 cannot be segmented"):
        read_image(tmp_path / "b.zarr")


def test_stale_consolidated_metadata_hide_nothing(tmp_path: Path) -> None:
    group = plane(tmp_path / "a.zarr")
    zarr.consolidate_metadata(tmp_path / "a.zarr", zarr_format=2)
    labels = group.create_group("labels")
    labels.attrs["labels"] = ["new"]
    write_image(labels.create_group("new"), PLANE.astype(np.int32), multiscale(axes_of("yx"), 1, [1, 1]))
    assert open_image(tmp_path / "a.zarr").label_names == ("new",)
    np.testing.assert_array_equal(read_image(tmp_path / "a.zarr" / "labels" / "new").array, PLANE)


def test_chunks_that_were_never_written_are_background(tmp_path: Path) -> None:
    pixels: NDArray[np.uint16] = PLANE.copy()
    pixels[16:32, 16:32] = 0
    write_image(tmp_path / "a.zarr", pixels, multiscale(axes_of("yx"), 1, [1, 1]))
    assert not (tmp_path / "a.zarr" / "0" / "1" / "1").exists()
    np.testing.assert_array_equal(read_image(tmp_path / "a.zarr").array, pixels)


def test_a_server_that_does_not_give_parts_of_files_is_told_in_words(tmp_path: Path, address: str) -> None:
    """Of a shard zarr asks for the end, and takes the whole file of such a server for that."""
    plane(tmp_path / "a.zarr", zarr_format=3, shard=32)
    image = read_image(f"{address}/a.zarr")
    with pytest.raises(ImageError, match=r"a\.zarr/0: its pixels at 0:40, 0:56 cannot be read \(.*checksum"):
        np.asarray(image.array)
