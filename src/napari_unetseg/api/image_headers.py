"""What the first bytes of an image file say of it, read before anything is decoded: its kind and its size."""

import re
import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from napari_unetseg.language import Sentence

PNG, JPEG, BMP, TIFF, NPY = SUPPORTED = ("PNG", "JPEG", "BMP", "TIFF", "NPY")
"""Kinds of files that a request may hold."""

MICROSCOPE_KINDS = {"CZI": ".czi", "ND2": ".nd2", "LIF": ".lif", "OIB": ".oib", "MRC": ".mrc", "DICOM": ".dcm"}
"""Kinds of microscopes' files that a request may hold, where the library for them is installed, and their suffixes."""

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", TIFF),
    (b"MM\0+", TIFF),
    (b"\x93NUMPY", NPY),
    (b"GIF8", "GIF"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP"),
    (b"\x1f\x8b", "gzip"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"ZISRAWFILE", "CZI"),
    (b"\xda\xce\xbe\x0a", "ND2"),
    (b"\x70\0\0\0", "LIF"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "OIB"),
    (b"BM", BMP),
)
_START_OF_SCAN, _END = 0xDA, 0xD9
_FRAME_MARKERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
# libjpeg goes over the whole picture for each scan; cameras and programs write about ten.
_MOST_SCANS = 32
# Chunks of a PNG, or segments of a JPEG before its scan, and bytes between the latter that belong to none: Pillow goes
# through them one by one.
_MOST_PARTS = 100_000
_MOST_JUNK = 2**16
_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_PNG_OPAQUE = (0, 2)
_BMP_UNPACKED = (0, 3, 6)  # RGB, and RGB by masks


@dataclass(frozen=True)
class Declared:
    """Size that a file says it has: pixels along Y and X, channels once palettes are colours, and frames."""

    height: int
    width: int
    channels: int
    frames: int = 1


def kind_of(data: bytes) -> str | None:
    """Return what kind of file bytes are, by how they begin: of `SUPPORTED` or `MICROSCOPE_KINDS`, another, or None."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        return "HEIF"
    found = next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)
    # What comes before the mark of DICOM may be the head of a TIFF file, whose pages need not be there.
    if found in (None, TIFF) and data[128:132] == b"DICM":
        return "DICOM"
    return "MRC" if found is None and data[208:212] == b"MAP " else found


def declared_png(data: bytes) -> Declared:
    """Read the size of a PNG file.

    Raises
    ------
    ValueError, struct.error
        If there is none.
    """
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    if data[12:16] != b"IHDR" or colour not in _PNG_CHANNELS:
        raise ValueError(Sentence("its header is damaged"))
    channels, frames, position = _PNG_CHANNELS[colour], 1, 33
    for _ in range(_MOST_PARTS):
        if position + 12 > len(data):
            return Declared(height, width, channels, max(frames, 1))
        chunk = data[position + 4 : position + 8]
        if chunk == b"acTL":
            (frames,) = struct.unpack_from(">I", data, position + 8)
        if chunk == b"tRNS" and bits == 16 and colour in _PNG_OPAQUE:
            channels = _PNG_CHANNELS[colour] + 1  # imagecodecs makes the colour that is transparent an alpha channel
        if chunk == b"IHDR":  # Pillow would believe this one
            raise ValueError(Sentence("its header is damaged"))
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    raise ValueError(Sentence("it is made of far more parts than any program writes"))


def declared_jpeg(data: bytes) -> Declared:
    """Read the size of a JPEG file, or of a JPEG stream in a TIFF file, going from marker to marker as libjpeg does.

    Raises
    ------
    ValueError, struct.error
        If there is none, or it has so many scans that it would take minutes.
    """
    if data.count(b"\xff\xda") > _MOST_SCANS:
        raise ValueError(Sentence("it is stored in far more scans than any camera or program writes"))
    found, position, junk = None, 2, 0
    for _ in range(_MOST_PARTS):
        marker_at = _MARKER.search(data, position, position + _MOST_JUNK + 2)
        if marker_at is None:
            break
        marker, junk = marker_at[0][1], junk + marker_at.start() - position
        position = marker_at.end()
        if marker in (_START_OF_SCAN, _END) or junk > _MOST_JUNK:
            break
        if marker in _FRAME_MARKERS:
            if found is not None:  # Pillow would believe this one
                raise ValueError(Sentence("its header is damaged"))
            height, width, channels = struct.unpack_from(">HHB", data, position + 3)
            found = Declared(height, width, channels)
        if marker not in _WITHOUT_LENGTH:
            position += max(2, int.from_bytes(data[position : position + 2], "big"))
    if found is None or junk > _MOST_JUNK:
        raise ValueError(Sentence("its header is damaged"))
    return found


def declared_bmp(data: bytes) -> Declared:
    """Read the size of a BMP file.

    Raises
    ------
    ValueError, struct.error
        If there is none, or if it is run-length coded, which Pillow would take minutes for.
    """
    (header,) = struct.unpack_from("<I", data, 14)
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression not in _BMP_UNPACKED:
        raise ValueError(Sentence("it is a compressed BMP file"))
    return Declared(abs(height), max(width, 0), 4 if bits == 32 else 3)


def declared_npy(data: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read shape and type of an ``.npy`` file.

    Raises
    ------
    ValueError
        If there are none, if it holds objects, or if it ends before its last value.
    """
    file = BytesIO(data)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        shape, _, dtype = read[np.lib.format.read_magic(file)](file)
    except Exception as error:  # whatever Python's parser stumbles upon; of deep nesting it says that memory ran out
        raise ValueError(Sentence("its header is damaged")) from error
    if dtype.hasobject:
        raise ValueError(Sentence("it holds Python objects, which are never opened"))
    if any(length < 0 for length in shape):
        raise ValueError(Sentence("its header is damaged"))
    size = dtype.itemsize
    for length in shape:
        size *= length
    if size > len(data) - file.tell():
        raise ValueError(Sentence("it ends before its last value"))
    return tuple(int(length) for length in shape), dtype
