"""How a TIFF file is put together, walked through before a library reads it: no loops, and no more than it can hold."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import tifffile

from napari_unetseg.api.image_headers import Declared, declared_jpeg
from napari_unetseg.language import Sentence

# Sizes of the types of tags, in bytes, and those that are read as one piece rather than number by number.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_PIECES = (1, 2, 6, 7)
_FORMATS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_WIDTH, _LENGTH, _SAMPLES, _SUB_DIRECTORIES = 256, 257, 277, 330
_TILE_WIDTH, _TILE_LENGTH, _DEPTH, _TILE_DEPTH = 322, 323, 32997, 32998

# Planes in single directories, and what their tags hold: far beyond what images of a request have.
_MOST_DIRECTORIES = 4096
_MOST_TAGS = 500_000
_MOST_NUMBERS = 2_000_000
_SHARED_BYTES = 2**24
_LONGEST_DESCRIPTION = 2**22
_MOST_PLANES = 1_000_000

_COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946, 34925, 34926, 50000}
"""Those whose decoders stop at the size of a strip or tile: none, CCITT, LZW, JPEG, deflate, PackBits, LZMA, Zstd."""
_JPEG = 7
# Files that microscopes and scanners write in ways of their own; OME, ImageJ and plain ones are read.
_OWN_WAYS = [
    "lsm",
    "fluoview",
    "stk",
    "sis",
    "svs",
    "scn",
    "qpi",
    "ndpi",
    "bif",
    "avs",
    "eer",
    "philips",
    "scanimage",
    "nih",
    "mdgel",
]


@dataclass(frozen=True)
class _Form:
    """Sizes and formats of a classic TIFF file, or a BigTIFF."""

    order: str
    count: str  # of the tags of a directory
    tag: str  # code, type, count, and the value or where it is
    offset: str

    def read(self, part: str, data: bytes, position: int) -> Any:
        return struct.unpack_from(self.order + part, data, position)

    def size(self, part: str) -> int:
        return struct.calcsize(self.order + part)


def walk_directories(data: bytes) -> Iterator[Declared]:
    """Go through the directories of a TIFF file, and yield the size that each declares for its image, and its tiles.

    Raises
    ------
    ValueError
        If the directories form a loop, or they or their tags are more than any image has.
    struct.error
        If the file ends within one.
    """
    form = _form(data)
    (first,) = form.read(form.offset, data, 4 if form.offset == "I" else 8)
    # Where the directories are, and whether they are of the chain: those below one are listed in it.
    waiting, seen = [(first, True)], set[int]()
    tags = numbers = held = 0
    while waiting:
        start, in_chain = waiting.pop()
        if not 8 <= start < len(data) - 1:
            continue
        if start in seen:
            raise ValueError(Sentence("its directories form a loop"))
        seen.add(start)
        (count,) = form.read(form.count, data, start)
        tags += count
        if len(seen) > _MOST_DIRECTORIES or tags > _MOST_TAGS:
            raise ValueError(Sentence("it holds more planes or tags than are read at once"))
        start += form.size(form.count)
        values: dict[int, list[int]] = {}
        for position in range(start, start + count * form.size(form.tag), form.size(form.tag)):
            code, kind, number, _ = form.read(form.tag, data, position)
            held += number * _SIZES.get(kind, 0)
            numbers += 0 if kind in _PIECES else number
            # tifffile refuses tags that go beyond the file; those that share their values are met again and again.
            if number * _SIZES.get(kind, 0) > len(data):
                raise ValueError(Sentence("one of its tags is larger than the file"))
            if numbers > _MOST_NUMBERS or held > len(data) + _SHARED_BYTES:
                raise ValueError(Sentence("it holds more planes or tags than are read at once"))
            values[code] = _values(form, data, position, kind, number, whole=code == _SUB_DIRECTORIES)
        yield from _declared(values)
        (following,) = form.read(form.offset, data, start + count * form.size(form.tag))
        waiting += [(below, False) for below in values.get(_SUB_DIRECTORIES, ())]
        if in_chain:
            waiting.append((following, True))


def _form(data: bytes) -> _Form:
    order = "<" if data[:2] == b"II" else ">"
    if data[2:4] in (b"+\0", b"\0+"):
        return _Form(order, count="Q", tag="HHQ8s", offset="Q")
    return _Form(order, count="H", tag="HHI4s", offset="I")


def _values(form: _Form, data: bytes, position: int, kind: int, number: int, *, whole: bool) -> list[int]:
    """Return the whole numbers of a tag; only the first of them unless all are wanted."""
    if kind not in _FORMATS or not number:
        return []
    here = position + form.size(form.tag) - form.size(form.offset)
    if number * _SIZES[kind] > form.size(form.offset):
        (here,) = form.read(form.offset, data, here)
    wanted = number if whole else 1
    if here + wanted * _SIZES[kind] > len(data):
        return []
    return list(form.read(f"{wanted}{_FORMATS[kind]}", data, here))


def _declared(values: dict[int, list[int]]) -> Iterator[Declared]:
    def first(code: int, default: int) -> int:
        return (values.get(code) or [default])[0]

    samples = max(1, first(_SAMPLES, 1))
    if _WIDTH in values:
        yield Declared(first(_LENGTH, 0), first(_WIDTH, 0), samples, max(1, first(_DEPTH, 1)))
    if _TILE_WIDTH in values:
        yield Declared(first(_TILE_LENGTH, 0), first(_TILE_WIDTH, 0), samples, max(1, first(_TILE_DEPTH, 1)))


def open_tiff(data: bytes, file: Any) -> tifffile.TiffFile:
    """Open a TIFF file in memory whose directories were walked through, so that it opens no others.

    Raises
    ------
    ValueError
        If its description declares more than any image has, or it is written in a way of some vendor's own.
    """
    # Micro-Manager's own index lies beside the file; what it writes into the file is OME, too.
    tiff = tifffile.TiffFile(file, is_mmstack=False, is_ndtiff=False)
    if len(description := str(tiff.pages.first.description)) > _LONGEST_DESCRIPTION:
        raise ValueError(Sentence("its description is longer than is read"))
    if tiff.is_ome:
        _check_ome(description)
    for kind in _OWN_WAYS:
        if getattr(tiff, f"is_{kind}", False):  # a version that does not know a way does not read it so, either
            raise ValueError(Sentence("it is written in a way of its own ({kind})", kind=kind.upper()))
    pages = [page for page in tiff.series[0].pages if page is not None]
    if others := {_compression(page) for page in pages} - _COMPRESSIONS:
        raise ValueError(Sentence("it is compressed as {kind}, which is not read here", kind=_name(others.pop())))
    # Strips that share their bytes are read again and again.
    if sum(sum(page.databytecounts) for page in pages) > 2 * len(data) + _SHARED_BYTES:
        raise ValueError(Sentence("its strips or tiles hold more than the file"))
    return tiff


def jpeg_parts(data: bytes, series: tifffile.TiffPageSeries) -> Iterator[Declared]:
    """Yield the size that each JPEG stream of a series declares, of which its decoder believes nothing else."""
    for page in series.pages:
        if page is not None and _compression(page) == _JPEG:
            for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
                if size:
                    yield declared_jpeg(data[offset : offset + size])


def _compression(page: tifffile.TiffPage | tifffile.TiffFrame) -> int:
    return int(page.keyframe.compression) if page.keyframe else 0


def _name(compression: int) -> str:
    known = {int(one): one.name for one in tifffile.COMPRESSION}
    return known.get(compression, str(compression))


def _check_ome(xml: str) -> None:
    """Refuse numbers in OME-XML that lists as long are made for."""
    if "<!" in xml.replace("<!--", ""):
        raise ValueError(Sentence("its description is no OME-XML"))
    for element in ElementTree.fromstring(xml).iter():  # noqa: S314 (no entities are declared)
        name = element.tag.rpartition("}")[2]
        if name == "Pixels":
            planes = 1
            for axis in "ZCT":
                planes *= int(element.get(f"Size{axis}", 1))
            numbers = [planes]
        elif name == "TiffData":
            numbers = [int(value) for value in element.attrib.values() if value.strip().lstrip("-").isdigit()]
        else:
            continue
        if not all(0 <= number <= _MOST_PLANES for number in numbers):
            raise ValueError(Sentence("its description declares more planes than are read at once"))
