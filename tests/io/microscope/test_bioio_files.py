"""What bioio reads: with a stand-in of its classes, and every night with bioio itself, which no other test needs."""

import subprocess
import sys
import sysconfig
import venv
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import dask.array
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

import napari_unetseg
from napari_unetseg.errors import ImageError
from napari_unetseg.io import read_image

SCENES: dict[str, tuple[NDArray[Any], str, list[str]]] = {
    "stack": (np.arange(2 * 3 * 4 * 6 * 8, dtype="<u2").reshape(2, 3, 4, 6, 8), "TCZYX", ["DAPI", "GFP", "RFP"]),
    "unnamed": (np.arange(2 * 6 * 8, dtype="<f4").reshape(1, 2, 1, 6, 8), "TCZYX", ["Channel:0:0", "Channel:0:1"]),
    "picture": (np.arange(6 * 8 * 3, dtype="u1").reshape(1, 1, 1, 6, 8, 3), "TCZYXS", ["Channel:0:0"]),
}


class Unsupported(Exception):
    """Stands for what bioio raises where no plug-in reads a file."""


class StandIn:
    """A `bioio.BioImage`, whose scene is chosen for the whole object."""

    def __init__(self, image: Path, reader: type | None = None) -> None:
        if b"readable" not in image.read_bytes():
            raise Unsupported
        self.reader = SimpleNamespace()
        self.scenes = tuple(SCENES)
        self.physical_pixel_sizes = SimpleNamespace(Z=1.5, Y=0.25, X=-0.2)
        self.time_interval: timedelta | None = timedelta(seconds=30)
        self.dimension_properties = SimpleNamespace(**{axis: SimpleNamespace(unit=None) for axis in "TCZYX"})

    def set_scene(self, number: int) -> None:
        array, order, self.channel_names = SCENES[self.scenes[number]]
        self.dask_data, self.dims = dask.array.from_array(array, chunks=1), SimpleNamespace(order=order)


@pytest.fixture
def bioio(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    """bioio, as far as it is used."""
    modules = {
        "bioio": SimpleNamespace(BioImage=StandIn),
        "bioio_base.exceptions": SimpleNamespace(UnsupportedFileFormatError=Unsupported),
        "bioio_base": ModuleType("bioio_base"),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return StandIn


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.oir"
    path.write_bytes(b"readable")
    return path


def test_axes_sizes_and_names_of_a_scene(bioio: type[StandIn], path: Path) -> None:
    image = read_image(path / "stack")
    assert (image.axes, image.channels) == ("TCZYX", ("DAPI", "GFP", "RFP"))
    assert (image.scale, image.unit) == ((0.25, 0.2), "micrometer")
    assert image.steps == {"Z": (1.5, "micrometer"), "T": (30.0, "second")}
    np.testing.assert_array_equal(image.array, SCENES["stack"][0])


def test_a_unit_that_is_said_is_taken(bioio: type[StandIn], path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bioio.__init__

    def with_unit(self: StandIn, *arguments: Any, **named: Any) -> None:
        first(self, *arguments, **named)
        self.dimension_properties = SimpleNamespace(Y=SimpleNamespace(unit="nanometer"))

    monkeypatch.setattr(bioio, "__init__", with_unit)
    image = read_image(path / "stack")
    assert (image.scale, image.unit) == (pytest.approx((0.25, 200)), "nanometer")


def test_channels_without_a_name_are_not_called_by_their_number(bioio: type[StandIn], path: Path) -> None:
    image = read_image(path / "unnamed")
    assert (image.axes, image.channels) == ("CYX", ())


def test_samples_are_colours(bioio: type[StandIn], path: Path) -> None:
    image = read_image(path / "picture")
    assert (image.axes, image.rgb, image.channels) == ("YXC", True, ())
    np.testing.assert_array_equal(image.array, SCENES["picture"][0].squeeze())


def test_several_threads_read_several_scenes(bioio: type[StandIn], path: Path) -> None:
    images = {name: read_image(path / name) for name in SCENES}
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda name: (name, np.asarray(images[name].array)), list(SCENES) * 4))
    for name, array in found:
        np.testing.assert_array_equal(array, SCENES[name][0].squeeze())


def test_a_plug_in_that_is_missing_is_named(bioio: type[StandIn], tmp_path: Path) -> None:
    for suffix, plug_in in ((".oir", "bioio-bioformats"), (".vsi", "bioio-vsi"), (".dv", "bioio-dv")):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(b"another")
        with pytest.raises(ImageError, match=rf"a{suffix}: no plug-in.*pip install {plug_in}"):
            read_image(path)


def test_bioio_that_is_missing_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bioio", None)
    with pytest.raises(
        ImageError, match=r"a\.oir: OIR files need one more package.*pip install \"napari-unetseg\[bioformats\]\""
    ):
        read_image(path)


@pytest.mark.nightly
def test_bioio_itself(tmp_path: Path) -> None:
    array = np.arange(2 * 3 * 40 * 50, dtype="<u2").reshape(2, 3, 40, 50)
    said = {
        "PhysicalSizeX": 0.2,
        "PhysicalSizeY": 0.3,
        "PhysicalSizeZ": 1.0,
        "Channel": {"Name": ["DAPI", "GFP", "RFP"]},
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", array, metadata={"axes": "ZCYX", **said})
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    subprocess.run([python, "-m", "pip", "install", "-q", "bioio", "bioio-ome-tiff"], check=True)
    # Its libraries come first, ours after them.
    code = f"""
import sys
sys.path.insert(0, {str(Path(napari_unetseg.__file__).parents[1])!r})
sys.path.append({sysconfig.get_path("purelib")!r})
from pathlib import Path
import numpy as np
from napari_unetseg.io.microscope.bioio_files import open_with_bioio
with open_with_bioio(Path({str(tmp_path / "a.ome.tif")!r})) as file:
    scene = file.scene(0)
    print(scene.axes, scene.channels, scene.scale, scene.unit, dict(scene.steps))
    print(int(np.asarray(scene.array[0, 2, 1], np.int64).sum()))
"""
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "TCZYX ('DAPI', 'GFP', 'RFP') (0.3, 0.2) micrometer {'Z': (1.0, 'micrometer')}",
        str(array[1, 2].sum(dtype=np.int64)),
    ]
