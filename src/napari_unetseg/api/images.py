"""The bytes of a request as an `Image`: the kind is told by what they are, the header checked before any pixel.

Files come from strangers. Nothing is opened by name or unpickled, and what a file declares is compared with the limits
before anything is decoded. No temporary file is made but for microscopes' files, see `microscope_images`. What is read
is what `napari_unetseg.io.read_image` reads from the same file, by the same code. Pictures are as they are stored: no
orientation tag turns them.
"""

import base64
import binascii
import re
import struct
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np

from napari_unetseg.api.image_headers import (
    BMP,
    JPEG,
    MICROSCOPE_KINDS,
    NPY,
    PNG,
    SUPPORTED,
    TIFF,
    Declared,
    declared_bmp,
    declared_jpeg,
    declared_npy,
    declared_png,
    kind_of,
)
from napari_unetseg.errors import ImageError
from napari_unetseg.image import Image
from napari_unetseg.language import Sentence
from napari_unetseg.printable import printable

_HARMLESS = 2**22
"""Values that any file may hold, however small it is: an empty image is nothing bad."""

_LONGEST_NAME = 200
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}", re.ASCII)
_DATA_URL = re.compile(r"data:image/[\w.+-]{1,60};base64,", re.ASCII | re.IGNORECASE)
_WHITESPACE = b" \t\r\n\f\v"


@dataclass(frozen=True)
class ImageLimits:
    """How large an image of a request may be.

    Attributes
    ----------
    max_values
        Most values: width x height x channels x planes.
    max_compression
        Most values for each byte of the file. Images of up to 4 million values may have more.
    """

    max_values: int
    max_compression: float


def decode_image(
    data: bytes,
    limits: ImageLimits,
    *,
    media_type: str | None,
    name: str,
    axes: str | None = None,
    scene: str | int | None = None,
) -> Image:
    """Read an image file from memory: PNG, JPEG, BMP, TIFF, ``.npy``, or one of a microscope.

    Parameters
    ----------
    data
        Content of the file.
    limits
        What it may declare; checked before anything is decoded.
    media_type
        What it was sent as, for messages: the content decides. None if that was not said.
    name
        What the sender calls it; of a path the last part is taken.
    axes
        Those of a TIFF, ``.npy`` or microscope's file, as `napari_unetseg.io.read_image` takes them.
    scene
        Name or number of a scene of a microscope's file; None: the only one.

    Raises
    ------
    MissingPackage
        If it is a microscope's file and the library for it is not installed.
    ImageError
        If it cannot be read, or declares more than the limits. The message is a sentence without paths.
    """
    name = _plain_name(name)
    if not data:
        raise ImageError(Sentence("{path}: the file is empty; copy or export the image again.", path=name))
    kind = kind_of(data)
    if kind in MICROSCOPE_KINDS:
        from napari_unetseg.api.microscope_images import decode_microscope

        suffix = MICROSCOPE_KINDS[kind]
        image = decode_microscope(
            data, suffix, lambda values: _check_size(data, values, limits, name), name=name, axes=axes, scene=scene
        )
        return replace(image, name=name, path=None)
    if scene is not None:
        raise ImageError(
            Sentence("{image}: is no file with scenes; leave the field {field} out.", image=name, field="scene")
        )
    if kind not in SUPPORTED:
        raise ImageError(_not_read(name, kind, media_type))
    # Pillow takes a while to load.
    from napari_unetseg.io.readable import unreadable_says

    with unreadable_says(name):
        try:
            if kind == TIFF:
                image = _decode_tiff(data, limits, name, axes)
            elif kind == NPY:
                image = _decode_npy(data, limits, name, axes)
            else:
                image = _decode_picture(data, limits, name, kind)
        except struct.error as error:
            raise ValueError(Sentence("it ends too early")) from error
    return replace(image, name=name, path=None)


def decode_base64(text: str, *, max_bytes: int | None = None) -> bytes:
    """Decode base64 of the standard alphabet, with padding.

    White space of ASCII is skipped, since programs wrap lines, and so is a beginning such as
    ``data:image/png;base64,``. Anything else is refused.

    Parameters
    ----------
    text
        What was sent.
    max_bytes
        Most bytes that it may stand for, checked before it is decoded; None: any number.

    Raises
    ------
    ImageError
        If it is empty, longer than allowed, or no base64.
    """
    start = _DATA_URL.match(text)
    # What is not ASCII is no base64 either.
    packed = (text[start.end() :] if start else text).encode("ascii", "replace").translate(None, _WHITESPACE)
    if not packed:
        raise ImageError(Sentence("The image is empty; send the content of an image file in base64."))
    if max_bytes is not None and len(packed) // 4 * 3 - packed[-2:].count(b"=") > max_bytes:
        raise ImageError(
            Sentence(
                "The image has more than {megabytes:g} MB, which is the most that is taken; send a part of it.",
                megabytes=max_bytes / 1e6,
            )
        )
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(
            Sentence(
                "The image is no base64 of the standard alphabet (A-Z, a-z, 0-9, + and /), or a part of it is missing; "
                "send the content of an image file in base64."
            )
        ) from error


def _decode_picture(data: bytes, limits: ImageLimits, name: str, kind: str) -> Image:
    from napari_unetseg.io.read import picture_image

    declared = {PNG: declared_png, JPEG: declared_jpeg, BMP: declared_bmp}[kind](data)
    _check_declared(data, declared, limits, name)
    if declared.frames > 1:
        raise ImageError(
            Sentence(
                "{path}: holds {frames} frames; save the one to segment as an image of its own.",
                path=name,
                frames=declared.frames,
            )
        )
    return picture_image(BytesIO(data), name, formats=(kind,))


def _decode_tiff(data: bytes, limits: ImageLimits, name: str, axes: str | None) -> Image:
    from napari_unetseg.api.tiff_structure import jpeg_parts, open_tiff, walk_directories
    from napari_unetseg.io.read_tiff import tiff_image

    for declared in walk_directories(data):
        _check_declared(data, declared, limits, name)
    with open_tiff(data, BytesIO(data)) as file:
        series = file.series[0]
        _check_size(data, int(series.size), limits, name)
        for declared in jpeg_parts(data, series):
            _check_declared(data, declared, limits, name)
        return tiff_image(file, name, axes)


def _decode_npy(data: bytes, limits: ImageLimits, name: str, axes: str | None) -> Image:
    from napari_unetseg.io.read import npy_image

    shape, dtype = declared_npy(data)
    values = 1
    for length in shape:
        values *= length
    _check_size(data, values, limits, name)
    if dtype.kind not in "buif":
        raise ValueError(Sentence("its values are no real numbers"))
    return npy_image(np.load(BytesIO(data), allow_pickle=False), axes, name)


def _check_declared(data: bytes, declared: Declared, limits: ImageLimits, name: str) -> None:
    if declared.height == 0 or declared.width == 0:
        raise ImageError(
            Sentence(
                "{image}: the image is empty (shape {shape}).", image=name, shape=(declared.height, declared.width)
            )
        )
    _check_size(data, declared.height * declared.width * declared.channels * declared.frames, limits, name)


def _check_size(data: bytes, values: int, limits: ImageLimits, name: str) -> None:
    """Refuse what declares more values than are taken, or more than a file of its size honestly has.

    Raises
    ------
    ImageError
        The message names both numbers.
    """
    if values > limits.max_values:
        raise ImageError(
            Sentence(
                "{image}: has {values:.4g} million values (width x height x channels x planes); at most {most:g} "
                "million are taken. Send a part of it.",
                image=name,
                values=values / 1e6,
                most=limits.max_values / 1e6,
            )
        )
    if values > _HARMLESS and values > limits.max_compression * len(data):
        raise ImageError(
            Sentence(
                "{image}: has {ratio:.4g} values for each of its bytes; at most {most:g} are taken. Save it again with "
                "less compression.",
                image=name,
                ratio=values / len(data),
                most=limits.max_compression,
            )
        )


def _not_read(name: str, kind: str | None, media_type: str | None) -> Sentence:
    what = Sentence("a {kind} file", kind=kind) if kind else Sentence("of a kind that is not known")
    if media_type and _MEDIA_TYPE.fullmatch(media_type) and media_type != "application/octet-stream":
        return Sentence(
            "{image}: was sent as {media_type}, and is {what}. Send a PNG, JPEG, BMP, TIFF or .npy file.",
            image=name,
            media_type=media_type,
            what=what,
        )
    return Sentence("{image}: is {what}. Send a PNG, JPEG, BMP, TIFF or .npy file.", image=name, what=what)


def _plain_name(name: str) -> str:
    last = re.split(r"[/\\]", name)[-1].strip()
    shown = "".join(character for character in printable(last) if character.isprintable())
    return shown[:_LONGEST_NAME] or "image"
