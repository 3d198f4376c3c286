"""Label images of OME-Zarr: opened, written block by block, and finished."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unetseg.errors import ImageError, UnetsegError
from napari_unetseg.io.ome_zarr.label_list import LABELS, add_to_list
from napari_unetseg.io.ome_zarr.label_metadata import (
    OWN_KEY,
    STORE_KEY,
    Lying,
    colours_as_stated,
    enveloped,
    own_attributes,
    plain_attributes,
    properties_as_stated,
    read_lying,
    stated_colours,
    stated_properties,
)
from napari_unetseg.io.ome_zarr.label_table import MOST_PROPERTIES, count_rows, read_columns, write_columns
from napari_unetseg.io.ome_zarr.location import Location
from napari_unetseg.io.ome_zarr.opening import lazy_array, open_group
from napari_unetseg.io.ome_zarr.pyramid import every_nth, write_region
from napari_unetseg.io.ome_zarr.stamp import stamped
from napari_unetseg.language import Sentence
from napari_unetseg.lazy_array import LazyArray
from napari_unetseg.postprocessing.blocks import Block

if TYPE_CHECKING:
    import zarr


@dataclass(frozen=True)
class LabelPyramid:
    """A label image with its lower levels; a `LabelTarget`, which processes may send one another.

    Attributes
    ----------
    path
        Of its group: a folder, or ``archive.zip/group``.
    arrays
        Of the levels, (..., Y, X), from full resolution on; int32 where they were made here.
    attributes
        Of its group, as the format has them, and what is ours under `OWN_KEY`.
    """

    path: str
    arrays: "tuple[zarr.Array[Any], ...]"
    attributes: Mapping[str, Any]

    def write_block(self, plane: tuple[int, ...], block: Block, labels: NDArray[np.int32]) -> None:
        """Write a block of a plane (Y, X), into all levels; no other process may write the same block.

        Raises
        ------
        ValueError
            If the block does not begin where one of the size begins that the labels were made for.
        UnetsegError
            If the operating system refuses.
        """
        try:
            write_region(self.arrays, self.strides, self._index(plane), block, labels, every_nth)
        except OSError as error:
            raise not_written(self.path, error) from error

    def read(self, plane: tuple[int, ...], region: Block) -> NDArray[np.int32]:
        """Read any region of a plane at full resolution."""
        at: Any = (*self._index(plane), *region)
        return np.asarray(self.arrays[0][at], np.int32)

    @cached_property
    def lazy_levels(self) -> tuple[LazyArray, ...]:
        """The levels for a viewer: each part is read when it is looked at.

        napari first takes the part of a stack that is on the screen, in all planes, and then the plane of that: of
        `arrays` it would read all planes.
        """
        return tuple(lazy_array(array, f"{self.path}/{array.basename}") for array in self.arrays)

    @property
    def axes(self) -> str:
        """A letter for each axis of `arrays`; ``?`` where its name is longer."""
        return self._lying.letters

    @property
    def axis_names(self) -> tuple[str, ...]:
        """The name of each axis, such as ``"y"``."""
        return tuple(axis["name"] for axis in self._lying.axes)

    @property
    def units(self) -> tuple[str | None, ...]:
        """The unit of each axis, such as ``"micrometer"``; None where it has none."""
        return tuple(axis.get("unit") for axis in self._lying.axes)

    @cached_property
    def scale(self) -> tuple[float, ...]:
        """How far apart pixels of full resolution lie along each axis."""
        return tuple(float(size) for size in self._place[0])

    @cached_property
    def translation(self) -> tuple[float, ...]:
        """Where the centre of the first pixel lies along each axis."""
        return tuple(float(size) for size in self._place[1])

    @property
    def strides(self) -> tuple[int, ...]:
        """How many pixels of full resolution a pixel of each level spans, along Y and X, if they were made here."""
        return tuple(self._own["strides"])

    @property
    def is_finished(self) -> bool:
        """Whether readers can know of it."""
        return "multiscales" in self.attributes

    @property
    def name(self) -> str:
        """What it is called."""
        said = self._said["multiscales"][0].get("name")
        return str(said or Path(self.path).name)

    @property
    def record(self) -> dict[str, Any]:
        """How the labels came about, as results record it; empty where that is not known."""
        return dict(self._own.get("provenance") or {})

    @property
    def table_file(self) -> str | None:
        """Where the table was, relative to the group, if it is too large to be in it."""
        return self._own.get("table_file")

    @property
    def colours(self) -> dict[int, tuple[float, ...]]:
        """Red, green, blue and opacity, 0..1, of objects; empty where none has its own."""
        return stated_colours(self._said.get("image-label", {}).get("colors") or ())

    @property
    def rows(self) -> int:
        """How many rows the table has that is kept with the labels."""
        columns = count_rows(open_group(Location.of(self.path)).group)
        return columns or len(self._said.get("image-label", {}).get("properties") or ())

    def table(self) -> dict[str, NDArray[Any]]:
        """Read the measurements of the objects, by column, with one called ``label``; empty where there are none."""
        columns = read_columns(open_group(Location.of(self.path)).group)
        if columns:
            return columns
        listed = self._said.get("image-label", {}).get("properties") or ()
        return stated_properties(listed) if listed else {}

    def finish(
        self,
        *,
        table: Mapping[str, NDArray[Any]] | None = None,
        table_file: Path | None = None,
        colours: Mapping[int, Sequence[float]] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> "LabelPyramid":
        """Let readers know of the labels, once all blocks are written; no process may write any more.

        Parameters
        ----------
        table
            What was measured, by column, with one called ``label``; in stacks objects may have several rows. It is
            kept with the labels: in the format's own way where it has up to `MOST_PROPERTIES` rows, one for each
            object, and else as arrays.
        table_file
            A file of the table, of which a viewer is told where `table` is not given.
        colours
            Red, green, blue and opacity, 0..1, of every object in `table`; None leaves the choice to viewers.
        provenance
            How the labels came about.

        Returns
        -------
        LabelPyramid
            The finished one.

        Raises
        ------
        ValueError
            If an object has no colour while others have.
        UnetsegError
            If the operating system refuses.
        """
        import zarr

        folder = Path(self.path)
        said = self._said
        version = self._own["version"]
        about = {key: value for key, value in said["image-label"].items() if key not in ("colors", "properties")}
        own = {name: self._own[name] for name in ("version", "planes", "strides")}
        own["provenance"] = dict(provenance or {})
        try:
            _sweep(folder)
            group = zarr.open_group(self.path, mode="r+", use_consolidated=False)
            if colours is not None:
                about["colors"] = colours_as_stated(colours, np.empty(0, int) if table is None else table["label"])
            if table is not None:
                labels = np.asarray(table["label"])
                listed: list[dict[str, Any]] = []
                if len(labels) <= MOST_PROPERTIES and len(np.unique(labels)) == len(labels):
                    listed = properties_as_stated(table)
                if listed:
                    about["properties"] = listed
                # Two files for each column, of which a plate would have hundred thousands, only where they say more:
                # properties leave out what is not known of any object.
                if len({name for one in listed for name in one}) < len(table):
                    write_columns(group, table)
            if table_file is not None:
                own["table_file"] = _relative(table_file, folder)
            group.attrs.put(stamped(folder, enveloped(version, {**said, "image-label": about}, own)))
            add_to_list(folder.parents[1], folder.name)
            self._finish_store(folder.parents[1])
        except OSError as error:
            raise not_written(self.path, error) from error
        return open_labels(self.path)

    def _finish_store(self, store: Path) -> None:
        """Let readers take a store that was made for the labels alone for an image of the same arrays."""
        import zarr

        group = zarr.open_group(store, mode="r+", use_consolidated=False)
        own = own_attributes(group)
        if STORE_KEY not in own:
            return
        pixels = dict(self._said["multiscales"][0])
        inner = f"{LABELS}/{Path(self.path).name}"
        pixels["datasets"] = [{**one, "path": f"{inner}/{one['path']}"} for one in pixels["datasets"]]
        group.attrs.put(stamped(store, enveloped(self._own["version"], {"multiscales": [pixels]}, own)))

    @property
    def _own(self) -> dict[str, Any]:
        return dict(self.attributes.get(OWN_KEY) or {})

    @property
    def _said(self) -> dict[str, Any]:
        """What the format says, or will say once the labels are finished."""
        said = self.attributes if self.is_finished else self._own["draft"]
        return {name: value for name, value in said.items() if name not in ("version", OWN_KEY)}

    @cached_property
    def _lying(self) -> Lying:
        return read_lying(self.path, self._said)

    @cached_property
    def _place(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        scale, translation = np.ones(len(self.axes)), np.zeros(len(self.axes))
        for one in (*self._lying.levels[0], *self._lying.whole):
            if one["type"] == "scale":
                scale, translation = scale * one["scale"], translation * one["scale"]
            elif one["type"] == "translation":
                translation = translation + one["translation"]
        return scale, translation

    def _index(self, plane: tuple[int, ...]) -> tuple[int, ...]:
        """Return where a plane is along all axes before Y and X: those that its image left out have one place."""
        before = range(self.arrays[0].ndim - 2)
        places = dict(zip(self._own.get("planes", before), plane, strict=True))
        return tuple(places.get(axis, 0) for axis in before)


def open_labels(path: str | Path, *, writable: bool = False) -> LabelPyramid:
    """Open a label image: one within an image, finished or not, or one of another program.

    Parameters
    ----------
    path
        Of its group: a folder, a path that leads into an archive, or a URL.
    writable
        Whether blocks shall be written even if it is finished; those of an unfinished one always can be.

    Raises
    ------
    ImageError
        If there is none.
    """
    import zarr

    try:
        group = open_group(Location.of(path)).group
        own = own_attributes(group)
        attributes = {**plain_attributes(group), OWN_KEY: own}
        if writable or "draft" in own:
            group = zarr.open_group(path, mode="r+", use_consolidated=False)
        said = attributes if "multiscales" in attributes else own["draft"]
        arrays: Any = tuple(group[one["path"]] for one in said["multiscales"][0]["datasets"])
        if "image-label" not in said or any(array.dtype.kind not in "biu" for array in arrays):
            raise ValueError("it has no objects")
    except (OSError, KeyError, TypeError, IndexError, ValueError) as error:
        raise ImageError(
            Sentence("{path}: this is no label image of OME-Zarr ({reason}).", path=path, reason=repr(error))
        ) from error
    return LabelPyramid(str(path), arrays, attributes)


def is_made_here(path: str | Path) -> bool:
    """Whether a label image was made by this program, finished or not, even if arrays of it are missing."""
    try:
        own = own_attributes(open_group(Location.of(path)).group)
    except ImageError:
        return False
    return "draft" in own or bool(own.get("provenance"))


def labels_in(path: str | Path) -> tuple[str, ...]:
    """Return the addresses of the finished label images of an image or a store of labels; empty if there are none.

    Raises
    ------
    ImageError
        If there is no OME-Zarr.
    """
    labels = open_group(Location.of(path)).child(LABELS)
    names = labels.ome.get(LABELS) if labels is not None else None
    listed = [labels.child(str(name)) for name in names] if labels is not None and isinstance(names, list) else []
    return tuple(one.label for one in listed if one is not None and "image-label" in one.ome)


def not_written(path: str | Path, error: Exception) -> UnetsegError:
    """Say that a store cannot be written."""
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    return UnetsegError(
        Sentence(
            "{path}: cannot be written ({reason}). Choose another output folder or make room on the disk.",
            path=path,
            reason=reason,
        )
    )


def _relative(path: Path, folder: Path) -> str:
    """Return a path as seen from a folder, with forward slashes; on another drive of Windows the whole path."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return path.absolute().as_posix()


def _sweep(folder: Path) -> None:
    """Remove what killed processes left half written; nobody writes any more."""
    for path in folder.rglob("*.partial"):
        path.unlink(missing_ok=True)
