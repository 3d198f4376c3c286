"""Images of OME-Zarr as pyramids of lazy arrays, and one of their levels as an `Image`."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError
from napari_unetseg.image import Image
from napari_unetseg.io.axis_order import in_image_order, named_letters
from napari_unetseg.io.levels import Level, level_number
from napari_unetseg.io.ome_zarr.image_axes import axis_letters, level_placement
from napari_unetseg.io.ome_zarr.location import Location, is_url
from napari_unetseg.io.ome_zarr.metadata import (
    Axis,
    Multiscale,
    OmeroChannel,
    parse,
    stated_version,
)
from napari_unetseg.io.ome_zarr.opening import OmeGroup, lazy_array, open_group
from napari_unetseg.io.physical_size import known_size, known_step
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray

# What writers put where there is no unit, which is nothing to speak of.
_NO_UNIT = ("", "pixel", "pixels", "none", "null", "dimensionless", "reference frame")
_MOST_NAMED = 6
_PRIMARY = ("ff0000", "00ff00", "0000ff")
_COLOUR_NAMES = ("red", "green", "blue")


@dataclass(frozen=True)
class ZarrLevel:
    """A level of an image.

    Attributes
    ----------
    path
        Of its array, within the group of the image.
    array
        Its pixels, with the axes of the image.
    scale, translation
        How they lie in the world: along each axis the place of pixel ``i`` is ``scale * i + translation``, in the unit
        of the axis.
    """

    path: str
    array: LazyArray
    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True)
class ZarrImage:
    """An image of OME-Zarr, open, with nothing but its metadata read.

    Attributes
    ----------
    group
        Its group.
    version
        Of OME-Zarr, such as ``"0.4"``.
    letters
        What its axes are, as an `Image` has them, in the order of its arrays, those of length 1 among them.
    axes
        The same as they are stated.
    levels
        The largest first.
    channels
        As they are named and coloured; empty where nothing is said of them.
    is_labels
        Whether its pixels are numbers of objects.
    remarks
        Sentences on what could not be used.
    """

    group: OmeGroup
    version: str
    letters: str
    axes: tuple[Axis, ...]
    levels: tuple[ZarrLevel, ...]
    channels: tuple[OmeroChannel, ...]
    is_labels: bool
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What people call it: its path from the OME-Zarr on, such as ``plate.zarr/B/3/0``."""
        return _short_name(self.group.location)

    @cached_property
    def pyramid(self) -> tuple[Level, ...]:
        """Shape and size of pixels of each level."""
        return tuple(self._level(level) for level in self.levels)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the label images that lie in it."""
        labels = self.group.child("labels")
        names = labels.ome.get("labels") if labels is not None else None
        return tuple(map(str, names)) if isinstance(names, list) else ()

    def image(self, level: int | str = 0, axes: str | None = None) -> Image:
        """Return a level as an image, nothing of which is read yet.

        Axes of length one are left out. What is stated of axes is right; where another number of letters is named, or
        others, they replace what is stated.

        Parameters
        ----------
        level
            Which; see `level_number`.
        axes
            As `read_image` takes them.

        Raises
        ------
        ImageError
            If there is no such level, if its axes name no image, or if its pixels are no numbers.
        """
        chosen = self.levels[level_number(level, self.pyramid, self.group.label)]
        letters = self._letters(chosen, axes)
        kept = [at for at, letter in enumerate(letters) if chosen.array.shape[at] > 1 or letter in "YX"]
        array = chosen.array[tuple(slice(None) if at in kept else 0 for at in range(len(letters)))]
        array, letters = in_image_order(array, "".join(letters[at] for at in kept))
        rgb = self._is_picture(array, letters)
        scale, unit, steps, remarks = self._sizes(chosen, self._letters(chosen, axes))
        if rgb:
            remarks += (Sentence("{file}: its three channels are read as the colours of one picture.", file=self.name),)
        location = self.group.location
        address = location.address
        return Image(
            cast("NDArray[Any]", array),
            letters,
            rgb,
            scale,
            unit,
            name=self.name,
            path=address if is_url(address) else str(Path(address).absolute()),
            steps={axis: step for axis, step in steps.items() if axis in letters},
            remarks=self.remarks + remarks,
            channels=() if rgb or "C" not in letters else self._channel_names(array.shape[letters.index("C")]),
        )

    def _channel_names(self, count: int) -> tuple[str, ...]:
        """Return what its channels are called, nothing where no name, or another number of them, is stated."""
        names = tuple((channel.label or "").strip() for channel in self.channels)
        return names if len(names) == count and any(names) else ()

    def _letters(self, level: ZarrLevel, named: str | None) -> str:
        return named_letters(self.letters, level.array.shape, named, self.name)

    def _level(self, level: ZarrLevel) -> Level:
        rows, columns = (self.letters.index(axis) for axis in "YX")
        shape = level.array.shape
        scale, unit, _, _ = self._sizes(level, self.letters)
        return Level((shape[rows], shape[columns]), scale, unit)

    def _sizes(
        self, level: ZarrLevel, letters: str
    ) -> tuple[tuple[float, float] | None, str | None, dict[str, tuple[float, str]], tuple[str, ...]]:
        """Return the pixel size along (Y, X) with its unit, other steps, and what could not be used."""
        sizes = {letter: (level.scale[at], self.axes[at].unit) for at, letter in enumerate(letters)}
        remarks = dict.fromkeys(
            Sentence(
                "{file}: states a size of {size} {unit} for its pixels, which is not known; it is left out.",
                file=self.name,
                size=size,
                unit=unit,
            )
            for letter, (size, unit) in sizes.items()
            if str(unit or "").strip().lower() not in _NO_UNIT
            and letter != "C"
            and known_step(size, unit, time=letter == "T") is None
        )
        (rows, unit), (columns, other) = sizes["Y"], sizes["X"]
        scale, found = known_size((rows, columns), (unit, other))
        known = {axis: known_step(*sizes[axis], time=axis == "T") for axis in sizes if axis not in "YXC"}
        return scale, found, {axis: step for axis, step in known.items() if step is not None}, tuple(remarks)

    def _is_picture(self, array: LazyArray, letters: str) -> bool:
        """Whether three channels are the colours of one picture, such as a stained slide, and not three stains."""
        if self.is_labels or "C" not in letters or array.dtype != np.uint8 or array.shape[letters.index("C")] != 3:
            return False
        names = [(channel.label or "").strip().lower() for channel in self.channels]
        colours = tuple((channel.color or "").strip().lstrip("#").lower()[:6] for channel in self.channels)
        generic = [name in ("", str(at), f"channel {at}", f"channel:0:{at}") for at, name in enumerate(names)]
        named = [name in (colour, colour[0]) for name, colour in zip(names, _COLOUR_NAMES, strict=False)]
        return colours == _PRIMARY and (all(generic) or all(named))


def open_image(path: str | Path | OmeGroup) -> ZarrImage:
    """Open an image or a label image of OME-Zarr, or the only one that lies in a group that holds images.

    Parameters
    ----------
    path
        Of a folder, an archive, what lies within one, or a URL; or a group that is open already.

    Raises
    ------
    ImageError
        If it is none, is damaged, holds several images, or is of a version that is not known. The message names the
        file, the field and what to do.
    """
    group = path if isinstance(path, OmeGroup) else open_group(Location.of(path))
    stated = group.ome.get("multiscales")
    if not stated:
        return open_image(_only_image(group))
    if not isinstance(stated, list):
        stated = [stated]
    multiscale = parse(Multiscale, stated[0], group.label, "multiscales.0")
    arrays = [group.array(dataset.path) for dataset in multiscale.datasets]
    dimensions = arrays[0].ndim
    axes = multiscale.axes_of(dimensions)
    for dataset, array in zip(multiscale.datasets, arrays, strict=True):
        if array.ndim != len(axes):
            raise ImageError(
                Sentence(
                    "{path}: its metadata name {n} axes, but the array {array} has {dimensions}. Write the image again "
                    "with the program that it came from.",
                    path=group.label,
                    n=len(axes),
                    array=dataset.path,
                    dimensions=array.ndim,
                )
            )
    remarks: list[str] = []
    levels = []
    for dataset, array in zip(multiscale.datasets, arrays, strict=True):
        ratio = [max(whole, 1) / max(own, 1) for whole, own in zip(arrays[0].shape, array.shape, strict=True)]
        scale, translation, said = level_placement(group, multiscale, dataset, ratio, _short_name(group.location))
        remarks += said
        pixels = lazy_array(array, f"{group.label}/{dataset.path}")
        levels.append(ZarrLevel(dataset.path, pixels, scale, translation))
    if remarks:
        axes = tuple(axis.model_copy(update={"unit": None}) for axis in axes)
    return ZarrImage(
        group=group,
        version=multiscale.version or stated_version(group.ome) or ("0.5" if group.zarr_format == 3 else "0.4"),
        letters=axis_letters(axes, group.label),
        axes=axes,
        levels=tuple(levels),
        channels=_channels(group),
        is_labels="image-label" in group.ome,
        remarks=tuple(dict.fromkeys(remarks)),
    )


def read_ome_zarr(path: str | Path, axes: str | None = None, level: int | str = 0) -> Image:
    """Read a level of an image of OME-Zarr, whose pixels stay where they are until they are needed.

    Parameters
    ----------
    path, axes, level
        As `read_image` takes them.

    Raises
    ------
    ImageError
        As `open_image` and `ZarrImage.image` do.
    """
    return open_image(path).image(level, axes)


def _channels(group: OmeGroup) -> tuple[OmeroChannel, ...]:
    """Return what is said of the channels; nothing where it is no list of them, as nothing hangs on it."""
    omero = group.ome.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(channels, list):
        return ()
    return tuple(OmeroChannel.model_validate(one if isinstance(one, dict) else {}) for one in channels)


def images_in(path: str | Path) -> tuple[str, ...]:
    """Return what to read where a group holds several images, such as what bioformats2raw writes; else itself.

    Raises
    ------
    ImageError
        If it cannot be opened.
    """
    group = open_group(Location.of(path))
    paths = [] if "multiscales" in group.ome else _image_paths(group)
    return tuple(group.location.at(one).address for one in paths) or (str(path),)


def _only_image(group: OmeGroup) -> OmeGroup:
    """Return the only image in a group that is none itself.

    Raises
    ------
    ImageError
        If it holds none or several.
    """
    if "plate" in group.ome:
        raise ImageError(
            Sentence(
                "{path}: is a plate, which holds many images. Segment it in the window of plates or by {command}, or "
                "name one of its fields, such as {field}.",
                path=group.label,
                command="napari-unetseg segment",
                field=f"{group.label}/A/1/0",
            )
        )
    paths = _image_paths(group)
    if not paths:
        raise ImageError(
            Sentence(
                "{path}: holds no image of OME-Zarr: its metadata have no multiscales. If it is an array of zarr "
                "alone, convert it to OME-Zarr or TIFF.",
                path=group.label,
            )
        )
    if len(paths) > 1:
        named = ", ".join(f"{group.label}/{path}" for path in paths[:_MOST_NAMED])
        raise ImageError(
            Sentence(
                "{path}: holds {n} images; name one of them: {paths}.",
                path=group.label,
                n=len(paths),
                paths=named if len(paths) <= _MOST_NAMED else f"{named}, …",
            )
        )
    child = group.child(paths[0])
    if child is None:
        raise ImageError(
            Sentence(
                "{path}: its metadata name the image {image}, which is missing. Copy it again.",
                path=group.label,
                image=paths[0],
            )
        )
    return child


def _image_paths(group: OmeGroup) -> list[str]:
    """Return where images lie in a group that is none itself: a well, label images, or what bioformats2raw writes."""
    well = group.ome.get("well")
    if isinstance(well, dict) and isinstance(well.get("images"), list):
        return [str(image["path"]) for image in well["images"] if isinstance(image, dict) and "path" in image]
    if isinstance(group.ome.get("labels"), list):
        return [str(name) for name in group.ome["labels"]]
    listed = group.child("OME")
    series = listed.ome.get("series") if listed is not None else None
    if isinstance(series, list):
        return [str(path) for path in series]
    found: list[str] = []
    # A group of other sense may hold anything, so numbers alone are looked for.
    while (child := group.child(str(len(found)))) is not None and "multiscales" in child.ome:
        found.append(str(len(found)))
    return found


def _short_name(location: Location) -> str:
    parts = location.address.replace("\\", "/").rstrip("/").split("/")
    starts = [at for at, part in enumerate(parts) if part.lower().endswith((".zarr", ".zip", ".ozx"))]
    return "/".join(parts[starts[0] :]) if starts else parts[-1]
