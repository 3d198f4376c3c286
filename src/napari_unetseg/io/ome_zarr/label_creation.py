"""Label images of OME-Zarr as they are before the first pixel: within an image, or in a store of their own."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from napari_unetseg.errors import ImageError, ParameterError, UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io.ome_zarr.images import open_image
from napari_unetseg.io.ome_zarr.label_list import LABELS
from napari_unetseg.io.ome_zarr.label_metadata import (
    OWN_KEY,
    STORE_KEY,
    Lying,
    lying_in,
    lying_of,
    multiscale,
    own_attributes,
    read_lying,
)
from napari_unetseg.io.ome_zarr.label_name import is_label_name
from napari_unetseg.io.ome_zarr.labels import LabelPyramid, labels_in, not_written, open_labels
from napari_unetseg.io.ome_zarr.location import Location
from napari_unetseg.io.ome_zarr.opening import open_group
from napari_unetseg.io.ome_zarr.pyramid import create_arrays, usual_strides
from napari_unetseg.language import Sentence

_LARGEST_FLAT = 4096
"""Longest side of labels that get no lower levels where their image has none."""

_MADE, _AWAY = ".unetseg-new-", ".unetseg-old-"
"""How names of folders begin that are not complete yet, and of those that are being removed."""


@dataclass(frozen=True)
class _Layout:
    """What a label image will be: where it lies, its levels, and along which of its axes planes are counted."""

    version: str
    lying: Lying
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    planes: tuple[int, ...]
    source: Mapping[str, str] = field(default_factory=dict)


def create_labels(
    store: str | Path, name: str, image: Image, *, block_side: int, level: int = 0, replace: bool = False
) -> LabelPyramid:
    """Make a label image within an OME-Zarr image, in the image's own version, without a pixel in it.

    Readers do not know of it before `LabelPyramid.finish`. What an earlier run left unfinished is removed: to go on
    with that, use `open_labels`.

    Parameters
    ----------
    store
        Folder of the image, or one that holds this image alone.
    name
        Of the label image among those of the image.
    image
        The plane or stack that was read of it, all channels or one.
    block_side
        Of the blocks that will be written, in pixels.
    level
        Of the image's pyramid, that was read.
    replace
        Whether a finished label image of the same name may be removed.

    Raises
    ------
    UnetsegError
        If labels cannot be written into the image, or there are finished ones of this name.
    """
    folder, layout = _layout_within(store, name, image, block_side, level)
    return _create(folder / LABELS / name, layout, block_side, replace)


def check_fits(store: str | Path, name: str, image: Image, *, block_side: int, level: int = 0) -> None:
    """Refuse labels for which an image has no place, before anything is made; see `create_labels`.

    Raises
    ------
    UnetsegError
        If labels cannot be written into the image.
    """
    _layout_within(store, name, image, block_side, level)


def _layout_within(store: str | Path, name: str, image: Image, block_side: int, level: int) -> tuple[Path, _Layout]:
    """Return the folder of the image's own group, and what a label image in it will be."""
    folder = Path(store)
    _check_name(name)
    if not folder.is_dir():
        raise ImageError(Sentence("{path}: is no folder. Write the labels beside it.", path=store))
    found = open_image(folder)
    folder = Path(found.group.label)  # of what bioformats2raw writes, the image within
    lying = read_lying(str(folder), found.group.ome)
    if level >= len(found.levels):
        raise ImageError(Sentence("{path}: there is no level {level}.", path=folder, level=level))
    kept = [axis for axis, letter in enumerate(found.letters) if letter != "C"]
    letters = [found.letters[axis] for axis in kept]
    shape = tuple(found.levels[level].array.shape[axis] for axis in kept)
    wanted = dict(zip(f"{image.stack_axes}YX", (*image.stack_shape, *image.shape), strict=True))
    there = {letter: length for letter, length in zip(letters, shape, strict=True) if length > 1 or letter in wanted}
    if wanted != there or letters[-2:] != ["Y", "X"]:
        raise ImageError(
            Sentence(
                "{path}: what was segmented ({axes}, {shape}) is not the whole image. Write the labels beside it.",
                path=folder,
                axes="".join(wanted),
                shape=" x ".join(map(str, wanted.values())),
            )
        )
    sides = [max(one.array.shape[kept[-2]], one.array.shape[kept[-1]]) for one in found.levels[level:]]
    if len(found.levels) == 1 and sides[0] > _LARGEST_FLAT:
        strides = usual_strides(image.shape, block_side)
    else:
        strides = _strides_like(sides, len(found.levels), block_side)
    layout = _Layout(
        version="0.4" if found.group.zarr_format == 2 else "0.5",
        lying=lying_in(lying, level, strides),
        shape=shape,
        strides=strides,
        planes=tuple(letters.index(letter) for letter in image.stack_axes),
        source={"image": "../../"},
    )
    return folder, layout


def create_label_store(
    path: str | Path, name: str, image: Image, *, block_side: int, replace: bool = False
) -> LabelPyramid:
    """Make a store of its own for labels, of version 0.5, without a pixel in it; see `create_labels`.

    The labels are ``labels/<name>`` in it, and the store itself is an image of the same arrays: so every reader opens
    it, and finds the labels. A label image that is the store itself would be simpler, but napari-ome-zarr 0.10 looks
    for its image two folders above, and makes a group of whatever folder that is.

    Parameters
    ----------
    path
        Folder to make, such as ``a_labels.ome.zarr``.
    name
        Of the label image in it.
    image
        What was segmented, for shape and sizes.
    block_side
        Of the blocks that will be written, in pixels.
    replace
        Whether a finished store may be removed, whatever its label image is called.

    Raises
    ------
    UnetsegError
        If there is something else, or a finished store, or the operating system refuses.
    """
    import zarr

    folder = Path(path)
    _check_name(name)
    strides = usual_strides(image.shape, block_side)
    lying = lying_of(image, f"{image.stack_axes}YX", strides)
    shape = (*image.stack_shape, *image.shape)
    try:
        if folder.exists() and not is_empty(folder):
            if not _is_store(folder):
                raise UnetsegError(
                    Sentence("{path}: there is something else already. Choose another name or folder.", path=folder)
                )
            if labels_in(folder) and not replace:
                raise _is_there(folder)
            remove_whole(folder)
        # Made with what tells that it is ours, so that a process that is killed here leaves nothing to stumble over.
        zarr.create_group(folder, zarr_format=3, attributes={OWN_KEY: {STORE_KEY: name}})
    except OSError as error:
        raise not_written(folder, error) from error
    layout = _Layout("0.5", lying, shape, strides, tuple(range(len(image.stack_axes))))
    return _create(folder / LABELS / name, layout, block_side, replace)


def _create(path: Path, layout: _Layout, block_side: int, replace: bool) -> LabelPyramid:
    """Make the group of a label image in an image, which is there, and the arrays in it."""
    import zarr

    if path.exists() and not replace and _is_finished(path):
        raise _is_there(path)
    about: dict[str, Any] = {"version": layout.version} if layout.version == "0.4" else {}
    if layout.source:
        about["source"] = dict(layout.source)
    own = {
        "version": layout.version,
        "planes": list(layout.planes),
        "strides": list(layout.strides),
        "draft": {"multiscales": [multiscale(layout.lying, path.name, layout.version)], "image-label": about},
    }
    made = path.with_name(f"{_MADE}{path.name}")
    try:
        # Under a name of its own until it is complete, so that a process that is killed here leaves no half of it.
        remove_whole(made)
        root = zarr.open_group(path.parents[1], mode="r+", use_consolidated=False)
        group = root.require_group(LABELS).create_group(made.name, attributes={OWN_KEY: own})
        names = [axis["name"] for axis in layout.lying.axes]
        create_arrays(group, layout.shape, layout.strides, names, "int32", block_side)
        remove_whole(path)
        made.rename(path)
    except OSError as error:
        raise not_written(path, error) from error
    return open_labels(path)


def _strides_like(lengths: Sequence[int], count: int, block_side: int) -> tuple[int, ...]:
    """Return the steps of an image's levels, where blocks can be divided by them, else steps of 2: so many in all."""
    steps = [round(lengths[0] / length) for length in lengths]
    rising = all(after > before for before, after in pairwise(steps))
    if not rising or any(step & (step - 1) or block_side % step for step in steps):
        return usual_strides((lengths[0], lengths[0]), block_side, count)
    while len(steps) < count and block_side % (2 * steps[-1]) == 0:
        steps.append(2 * steps[-1])
    return tuple(steps)


def _check_name(name: str) -> None:
    if not is_label_name(name):
        raise ParameterError(
            Sentence(
                "{name} cannot be the name of a label image: choose one without slashes and colons, such as nuclei.",
                name=repr(name),
            )
        )


def remove_whole(folder: Path) -> None:
    """Remove a folder, if it is there, in such a way that a process that is killed meanwhile leaves no half of it."""
    away = folder.with_name(f"{_AWAY}{folder.name}")
    if away.exists():
        shutil.rmtree(away)
    if folder.exists():
        folder.rename(away)
        shutil.rmtree(away)


def is_empty(folder: Path) -> bool:
    """Whether there is nothing in a folder but what a killed process left half written."""
    return all(path.suffix == ".partial" for path in folder.iterdir())


def _is_store(folder: Path) -> bool:
    """Whether a folder is a store of labels that was made here."""
    try:
        return STORE_KEY in own_attributes(open_group(Location.of(folder)).group)
    except ImageError:
        return False


def _is_there(path: Path) -> UnetsegError:
    return UnetsegError(
        Sentence("{path}: there are labels already. Choose another name, or let them be replaced.", path=path)
    )


def _is_finished(path: Path) -> bool:
    try:
        return open_labels(path).is_finished
    except ImageError:
        return False
