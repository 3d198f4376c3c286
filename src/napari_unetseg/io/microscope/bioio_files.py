"""Files that no lighter package reads, through bioio and whichever of its plug-ins are installed.

bioio gives sizes without a unit unless a plug-in adds it: its plug-ins take them from OME metadata, in micrometres, so
these are what a size without a unit is taken for. A time step is a `timedelta`, which has its unit.
"""

import re
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from bioio import BioImage
from bioio_base.exceptions import UnsupportedFileFormatError
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.io.microscope.kept_scenes import KeptScenes
from napari_unetseg.io.microscope.scene import Scene
from napari_unetseg.io.physical_size import Step, known_size, known_step, unit_name
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray

# What reads a kind of file without Java, where there is something.
_PLUG_INS = {".vsi": "bioio-vsi", ".dv": "bioio-dv", ".r3d": "bioio-dv", ".sldy": "bioio-sldy"}
_ANY_FILE = "bioio-bioformats"
# What channels without a name are called.
_NUMBERED = re.compile(r"Channel:\d+(:\d+)?")


def open_with_bioio(path: Path) -> KeptScenes:
    """Open a file by the plug-in of bioio that says that it can read it.

    Raises
    ------
    ImageError
        If none of those that are installed can.
    Exception
        Whatever a plug-in raises where the file is damaged.
    """
    try:
        image = BioImage(path)
    except UnsupportedFileFormatError as error:
        plug_in = _PLUG_INS.get(path.suffix.lower(), _ANY_FILE)
        raise ImageError(
            Sentence(
                "{path}: no plug-in of bioio that is installed reads it. If the file is whole, install one that does: "
                "{command} (bioio-bioformats, which reads most, needs Java).",
                path=path,
                command=f"pip install {plug_in}",
            )
        ) from error
    reader = type(image.reader)

    def scene(number: int, name: str) -> Scene:
        # Of its own, as a scene is chosen for all of a BioImage.
        return _scene(BioImage(path, reader=reader), number, name)

    return KeptScenes(image.scenes, scene)


def _scene(image: Any, number: int, name: str) -> Scene:
    image.set_scene(number)
    letters, source = str(image.dims.order), image.dask_data
    rgb = "S" in letters and source.shape[letters.index("S")] in (3, 4)
    if "S" in letters and "C" in letters and source.shape[letters.index("C")] == 1:
        # The colours of one picture.
        source = source[tuple(0 if letter == "C" else slice(None) for letter in letters)]
        letters = letters.replace("C", "").replace("S", "C")
    lock = Lock()

    def read(box: tuple[slice, ...]) -> NDArray[Any]:
        # Plug-ins are not said to be safe for threads, and some keep one open file.
        with lock:
            return np.asarray(source[box].compute(scheduler="synchronous"))

    chunks = tuple(int(max(along)) for along in source.chunks)
    array = LazyArray(read, tuple(int(length) for length in source.shape), source.dtype.newbyteorder("="), chunks)
    sizes, units = image.physical_pixel_sizes, _units(image)
    scale, unit = known_size([sizes.Y, sizes.X], [units["Y"], units["X"]])
    steps: dict[str, Step] = {}
    if "Z" in letters and (step := known_step(sizes.Z, units["Z"])) is not None:
        steps["Z"] = step
    if "T" in letters and (interval := getattr(image, "time_interval", None)) is not None:
        seconds = known_step(interval.total_seconds(), "s", time=True)
        steps |= {} if seconds is None else {"T": seconds}
    channels = tuple(str(channel) for channel in image.channel_names or ())
    is_named = "C" in letters and not rgb and len(channels) == array.shape[letters.index("C")]
    is_named = is_named and not all(_NUMBERED.fullmatch(channel) for channel in channels)
    return Scene(name, letters, array, scale, unit, steps, channels if is_named else (), rgb and "C" in letters)


def _units(image: Any) -> dict[str, str]:
    """Return the unit of each length, micrometres where it is not said."""
    said = getattr(image, "dimension_properties", None)
    found = {axis: getattr(getattr(said, axis, None), "unit", None) for axis in "ZYX"}
    return {axis: unit_name(unit) or "micrometer" for axis, unit in found.items()}
