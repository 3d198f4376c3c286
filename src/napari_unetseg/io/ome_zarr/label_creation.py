"""Label images of OME-Zarr as they are before the first pixel: within an image, or in a store of their own."""

import re
import shutil
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from napari_unetseg.errors import ImageError, ParameterError, UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.io.ome_zarr.label_groups import open_group
from napari_unetseg.io.ome_zarr.label_list import LABELS
from napari_unetseg.io.ome_zarr.label_metadata import (
    OWN_KEY,
    Lying,
    enveloped,
    lying_in,
    lying_of,
    multiscale,
    own_attributes,
    plain_attributes,
    read_lying,
)
from napari_unetseg.io.ome_zarr.labels import LabelPyramid, not_written, open_labels
from napari_unetseg.io.ome_zarr.pyramid import create_arrays, usual_strides
from napari_unetseg.language import Sentence

STORE_KEY = "label_store"
"""Under which a store of labels has the name of its label image."""

_LARGEST_FLAT = 4096
"""Longest side of labels that get no lower levels where their image has none."""

_NOT_A_NAME = re.compile(r"[/\\:*?\"<>|\x00-\x1f]|^[.]|^$|^__")


def create_labels(
    store: str | Path, name: str, image: Image, *, block_side: int, level: int = 0, replace: bool = False
) -> LabelPyramid:
    """Make a label image within an OME-Zarr image, in the image's own version, without a pixel in it.

    Readers do not know of it before `LabelPyramid.finish`. What an earlier run left unfinished is removed: to go on
    with that, use `open_labels`.

    Parameters
    ----------
    store
        Folder of the image.
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
    import zarr

    folder = Path(store)
    _check_name(name)
    try:
        group = zarr.open_group(folder, mode="r+", use_consolidated=False)
    except Exception as error:
        raise ImageError(
            Sentence(
                "{path}: cannot be opened for writing ({reason}). Write the labels beside it.",
                path=folder,
                reason=error,
            )
        ) from error
    said = plain_attributes(group)
    lying = read_lying(str(folder), said)
    if level >= len(lying.levels):
        raise ImageError(Sentence("{path}: there is no level {level}.", path=folder, level=level))
    levels: list[Any] = [group[one["path"]] for one in said["multiscales"][0]["datasets"]]
    lengths = [one.shape for one in levels]
    strides = _strides_like([max(one[-2:]) for one in lengths[level:]], len(lengths), block_side)
    if len(lengths) == 1 and max(image.shape) > _LARGEST_FLAT:
        strides = usual_strides(image.shape, block_side)
    here = lying_in(lying, level, strides)
    shape = tuple(length for length, letter in zip(lengths[level], lying.letters, strict=True) if letter != "C")
    expected = dict(zip(image.stack_axes, image.stack_shape, strict=True)) | dict(zip("YX", image.shape, strict=True))
    if {letter: n for letter, n in zip(here.letters, shape, strict=True) if n > 1 or letter in expected} != expected:
        raise ImageError(
            Sentence(
                "{path}: what was segmented ({axes}, {shape}) is a part of the image. Write the labels beside it.",
                path=folder,
                axes=f"{image.stack_axes}YX",
                shape=(*image.stack_shape, *image.shape),
            )
        )
    version = "0.4" if group.metadata.zarr_format == 2 else "0.5"
    source = {"image": "../../"}
    return _create(folder, name, image, here, shape, strides, version, block_side, replace, source)


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
        Whether a finished store may be removed.
    """
    import zarr

    folder = Path(path)
    _check_name(name)
    letters = f"{image.stack_axes}YX"
    shape = (*image.stack_shape, *image.shape)
    strides = usual_strides(image.shape, block_side)
    lying = lying_of(image, letters, strides)
    if folder.exists() and not _is_store(folder):
        raise UnetsegError(
            Sentence("{path}: this is no store of labels that could be replaced. Choose another name.", path=folder)
        )
    try:
        group = zarr.open_group(folder, mode="a", zarr_format=3, use_consolidated=False)
    except Exception as error:
        raise not_written(folder, error) from error
    made = _create(folder, name, image, lying, shape, strides, "0.5", block_side, replace, {})
    pixels = multiscale(lying, name, "0.5")
    for dataset in pixels["datasets"]:
        dataset["path"] = f"{LABELS}/{name}/{dataset['path']}"
    group.attrs.put(enveloped("0.5", {"multiscales": [pixels]}, {STORE_KEY: name}))
    return made


def _create(
    folder: Path,
    name: str,
    image: Image,
    lying: Lying,
    shape: tuple[int, ...],
    strides: Sequence[int],
    version: str,
    block_side: int,
    replace: bool,
    source: Mapping[str, str],
) -> LabelPyramid:
    import zarr

    path = folder / LABELS / name
    if path.exists() and not replace and _is_finished(path):
        raise _is_there(path)
    stated = {"version": version} if version == "0.4" else {}
    about = {**stated, **({"source": dict(source)} if source else {})}
    own = {
        "version": version,
        "planes": image.stack_axes,
        "strides": list(strides),
        "draft": {"multiscales": [multiscale(lying, name, version)], "image-label": about},
    }
    try:
        if path.exists():
            shutil.rmtree(path)
        root = zarr.open_group(folder, mode="r+", use_consolidated=False)
        labels = root.require_group(LABELS)
        group = labels.create_group(name, attributes={OWN_KEY: own})
        create_arrays(group, shape, strides, [axis["name"] for axis in lying.axes], "int32", block_side)
    except OSError as error:
        raise not_written(path, error) from error
    return open_labels(path, writable=True)


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
    if _NOT_A_NAME.search(name):
        raise ParameterError(
            Sentence(
                "{name} cannot be the name of a label image: choose one without slashes and colons, such as nuclei.",
                name=repr(name),
            )
        )


def _is_store(folder: Path) -> bool:
    """Whether a folder is empty, or a store of labels that was made here."""
    try:
        return not any(folder.iterdir()) or STORE_KEY in own_attributes(open_group(str(folder)))
    except OSError:
        return False


def _is_finished(path: Path) -> bool:
    try:
        return open_labels(path).is_finished
    except ImageError:
        return False


def _is_there(path: Path) -> UnetsegError:
    return UnetsegError(
        Sentence("{path}: there are labels already. Choose another name, or let them be replaced.", path=path)
    )
