"""What OME-Zarr says of an image, a label image, a plate and a well, as models: versions 0.1 to 0.5.

They are lenient where writers differ and nothing hangs on it (names, versions, colours), and strict where pixels would
be read as something else (axes, levels, sizes).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from napari_unetseg.errors import ImageError
from napari_unetseg.language import Sentence

_Model = TypeVar("_Model", bound="_Part")
_NEWEST = (0, 5)
_FIRST_AXES = "tczyx"


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Axis(_Part):
    """An axis of the arrays of an image.

    Attributes
    ----------
    name
        Such as ``"t"``, ``"c"``, ``"z"``, ``"y"`` or ``"x"``.
    type
        ``"space"``, ``"time"``, ``"channel"``, or any other word.
    unit
        Such as ``"micrometer"``.
    """

    name: str
    type: str | None = None
    unit: str | None = None


class Transformation(_Part):
    """A step on the way from pixels to the world: a scale, a translation, or none (``"identity"``)."""

    type: str
    scale: tuple[float, ...] | None = None
    translation: tuple[float, ...] | None = None
    path: str | None = None


class Dataset(_Part):
    """A level of a pyramid: where its array lies, and how its pixels lie in the world."""

    path: str
    transformations: tuple[Transformation, ...] = Field((), alias="coordinateTransformations")


class Multiscale(_Part):
    """An image as a pyramid: its levels from the largest to the smallest."""

    name: str | None = None
    version: str | None = None
    axes: tuple[Axis, ...] = ()
    datasets: tuple[Dataset, ...] = Field(min_length=1)
    transformations: tuple[Transformation, ...] = Field((), alias="coordinateTransformations")

    @field_validator("axes", mode="before")
    @classmethod
    def _name_axes(cls, axes: Any) -> Any:
        """Read axes as version 0.3 names them, by letters alone; older ones name none."""
        if axes is None:
            return ()
        if isinstance(axes, Sequence):
            return [{"name": axis} if isinstance(axis, str) else axis for axis in axes]
        return axes

    @field_validator("name", "version", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return None if value is None else str(value)

    def axes_of(self, dimensions: int) -> tuple[Axis, ...]:
        """Return the axes, those of the first versions where none are named; empty where that does not fit."""
        return self.axes or (tuple(map(_axis_of, _FIRST_AXES)) if dimensions == len(_FIRST_AXES) else ())


class OmeroChannel(_Part):
    """How a channel is shown: its name, and its colour as six hexadecimal digits."""

    label: str | None = None
    color: str | None = None

    @field_validator("label", "color", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return None if value is None else str(value)


class Place(_Part):
    """A row or a column of a plate."""

    name: str

    @field_validator("name", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value


class Acquisition(_Part):
    """One round of images of a plate."""

    id: int
    name: str | None = None


class PlateWell(_Part):
    """A well of a plate: where its group lies, by the names of its row and column, such as ``"B/3"``."""

    path: str


class PlateInfo(_Part):
    """A plate of wells."""

    name: str | None = None
    version: str | None = None
    rows: tuple[Place, ...] = ()
    columns: tuple[Place, ...] = ()
    wells: tuple[PlateWell, ...]
    acquisitions: tuple[Acquisition, ...] = ()

    @field_validator("acquisitions", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return () if value is None else value


class WellImage(_Part):
    """A field of a well: where its image lies in the well's group."""

    path: str
    acquisition: int | None = None

    @field_validator("path", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value


class WellInfo(_Part):
    """The fields of a well."""

    images: tuple[WellImage, ...] = ()


def ome_attributes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a group says in the terms of OME-Zarr: under ``ome`` from version 0.5 on, beside the rest before."""
    ome = attributes.get("ome")
    return ome if isinstance(ome, Mapping) else attributes


def stated_version(ome: Mapping[str, Any]) -> str | None:
    """Return the version that the metadata of a group state; None if they state none."""
    for key in ("multiscales", "plate", "well", "image-label"):
        value = ome.get(key)
        part = value[0] if isinstance(value, list) and value else value
        if isinstance(part, Mapping) and part.get("version") is not None:
            return str(part["version"])
    version = ome.get("version")
    return None if version is None else str(version)


def check_version(ome: Mapping[str, Any], label: str) -> None:
    """Refuse a version that is newer than what is known here, as it may mean something else.

    Raises
    ------
    ImageError
        If it is newer.
    """
    version = stated_version(ome)
    found = re.match(r"(\d+)\.(\d+)", version or "")
    if found and tuple(map(int, found.groups())) > _NEWEST:
        raise ImageError(
            Sentence(
                "{path}: is OME-Zarr {version}, of which only versions up to {newest} are read; write it again as "
                "{newest}.",
                path=label,
                version=version,
                newest=".".join(map(str, _NEWEST)),
            )
        )


def parse(model: type[_Model], values: Any, label: str, key: str) -> _Model:
    """Read a part of the metadata.

    Parameters
    ----------
    model
        What it shall be.
    values
        What stands there.
    label
        The file, for the message.
    key
        Where it stands in the metadata, for the message.

    Raises
    ------
    ImageError
        If it is not what it should be. The message names file and field.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join([key, *map(str, first["loc"])])
        raise ImageError(
            Sentence(
                "{path}: its metadata are damaged or of another kind: {field}: {reason}. Write the image again with "
                "the program that it came from.",
                path=label,
                field=field,
                reason=first["msg"],
            )
        ) from error


def _axis_of(name: str) -> Axis:
    return Axis(name=name, type={"t": "time", "c": "channel"}.get(name, "space"))
