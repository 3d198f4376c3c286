"""Bad and odd image files, the same ones every time: damaged, mislabelled, and declaring what they do not hold.

All of them are made here, from small pictures of noise. Nothing in them does harm: what is huge is only declared, and
what unpacks to much is zeros.
"""

import base64
import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image as Pillow

SEED = 23
_MEGABYTES = 64
_DRAWN_ID = re.compile(rb"urn:uuid:[-0-9a-f]{36}")
_CUT, _FLIP, _FLIP_HEADER, _INSERT, _REMOVE, _JOIN = range(6)


@dataclass(frozen=True)
class OddFile:
    """A file, and what is wrong with it."""

    name: str
    data: bytes
    media_type: str = "application/octet-stream"


def odd_files(count: int = 2000) -> list[OddFile]:
    """Make so many files: those written by hand, and after them damaged copies of healthy ones."""
    rng = np.random.default_rng(SEED)
    healthy = healthy_files()
    made = [*healthy, *_pngs(), *_jpegs(), *_bmps(), *_tiffs(), *_npys(), *_others()]
    number = 0
    while len(made) < count:
        original, other = healthy[number % len(healthy)], healthy[int(rng.integers(len(healthy)))]
        way = number // len(healthy) % 6
        made.append(OddFile(f"{way}-{number}-{original.name}", _damaged(original.data, other.data, way, rng)))
        number += 1
    return made[:count]


def odd_base64() -> list[str]:
    """Make texts that are no base64 of an image file."""
    picture = imagecodecs.png_encode(np.zeros((4, 4), np.uint8))
    good = as_base64(picture)
    return [
        "",
        "   \n",
        "=",
        "====",
        "@@@@",
        "é" * 8,
        good[:-1],
        good[1:],
        f"{good}!",
        good.replace("A", "-"),
        f"{good}{good}=",
        "data:image/png;base64,",
        f"data:text/html;base64,{good}",
        f"data:image/png,{good}",
        f"{good[:8]}\0{good[8:]}",
        "file:///etc/hostname",
        "http://localhost/a.png",
        "\N{FULLWIDTH LATIN CAPITAL LETTER A}" * 8,
    ]


def as_base64(data: bytes) -> str:
    """Return base64 as clients send it."""
    return base64.b64encode(data).decode("ascii")


def healthy_files() -> list[OddFile]:
    """Make small files of all kinds that are read."""
    rng = np.random.default_rng(SEED)
    grey = rng.integers(0, 256, (24, 30), dtype=np.uint8)
    deep = rng.integers(0, 65536, (24, 30), dtype=np.uint16)
    colour = rng.integers(0, 256, (24, 30, 3), dtype=np.uint8)
    picture, sideways = Pillow.fromarray(colour), Pillow.Exif()
    sideways[274] = 6
    stack = rng.integers(0, 4000, (2, 3, 24, 30), dtype=np.uint16)
    inks = rng.integers(0, 256, (24, 30, 4), dtype=np.uint8)
    colours = rng.integers(0, 65536, (3, 256), dtype=np.uint16)
    return [
        OddFile("grey.png", png(grey)),
        OddFile("one-bit.png", _pillow(Pillow.fromarray(grey > 99), "PNG")),
        OddFile("palette.png", _pillow(picture.quantize(19), "PNG")),
        OddFile("palette-transparent.png", _pillow(picture.quantize(19), "PNG", transparency=3)),
        OddFile("grey-alpha.png", _pillow(picture.convert("LA"), "PNG")),
        OddFile("rgba.png", _pillow(picture.convert("RGBA"), "PNG")),
        OddFile("sideways.png", _pillow(picture, "PNG", exif=sideways)),
        OddFile("deep.png", png(deep)),
        OddFile("deep-alpha.png", png(rng.integers(0, 65536, (24, 30, 2), dtype=np.uint16))),
        OddFile("deep-rgb.png", png(rng.integers(0, 65536, (24, 30, 3), dtype=np.uint16))),
        OddFile("deep-rgba.png", png(rng.integers(0, 65536, (24, 30, 4), dtype=np.uint16))),
        OddFile("grey.jpg", _pillow(Pillow.fromarray(grey), "JPEG")),
        OddFile("sideways.jpg", _pillow(picture, "JPEG", exif=sideways)),
        OddFile("progressive.jpg", _pillow(picture, "JPEG", progressive=True)),
        OddFile("cmyk.jpg", _pillow(picture.convert("CMYK"), "JPEG")),
        *(OddFile(f"{mode}.bmp", _pillow(picture.convert(mode), "BMP")) for mode in ("1", "L", "P", "RGB", "RGBA")),
        *(
            OddFile(f"{dtype}.tif", tiff(deep.astype(dtype)))
            for dtype in ("uint8", "uint16", "uint32", "int16", "float16", "float32", "float64")
        ),
        OddFile("sideways.tif", tiff(grey, extratags=[(274, 3, 1, 6, True)])),
        OddFile("deflate.tif", tiff(deep, compression="zlib", predictor=True, tile=(16, 16))),
        OddFile("lzw-big-endian.tif", tiff(deep, compression="lzw", byteorder=">")),
        OddFile("packbits.tif", tiff(grey, compression="packbits")),
        OddFile("zstd-big.tif", tiff(deep, compression="zstd", bigtiff=True)),
        OddFile("lzma.tif", tiff(deep, compression="lzma")),
        OddFile("jpeg.tif", tiff(colour, photometric="rgb", compression="jpeg")),
        OddFile("palette.tif", tiff(grey, photometric="palette", colormap=colours)),
        OddFile("inverted.tif", tiff(deep, photometric="miniswhite")),
        OddFile("cmyk.tif", tiff(inks, photometric="separated")),
        OddFile("one-bit.tif", _pillow(Pillow.fromarray(grey > 99), "TIFF", compression="group4")),
        OddFile("imagej.tif", tiff(stack[0], imagej=True, metadata={"axes": "CYX", "unit": "um"}, resolution=(2, 2))),
        OddFile("ome.ome.tif", tiff(stack, ome=True, metadata={"axes": "CZYX", "PhysicalSizeX": 0.5})),
        OddFile("planes.tif", tiff(stack[0], photometric="minisblack", metadata=None)),
        OddFile("grey.npy", npy(deep)),
        OddFile("channels.npy", npy(np.asfortranarray(rng.random((3, 24, 30))))),
        OddFile("big-endian.npy", npy(deep.astype(">u2"))),
    ]


def png(array: np.ndarray) -> bytes:
    """Write a PNG."""
    return bytes(imagecodecs.png_encode(array))


def tiff(array: np.ndarray, **options: Any) -> bytes:
    """Write a TIFF file, the same one every time."""
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return _DRAWN_ID.sub(b"urn:uuid:" + b"0" * 36, file.getvalue())


def npy(array: np.ndarray) -> bytes:
    """Write an ``.npy`` file, of objects too."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def png_of(*chunks: tuple[bytes, bytes]) -> bytes:
    """Write a PNG of chunks, with their right checksums."""
    parts = (struct.pack(">I", len(data)) + kind + data + _checksum(kind + data) for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_header(width: int, height: int, bits: int = 8, colour: int = 0) -> tuple[bytes, bytes]:
    """Return the first chunk of a PNG."""
    return b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)


def tiff_of(*directories: list[tuple[int, int, int, int]], following: int = 0, order: str = "<") -> bytes:
    """Write a TIFF file of directories; each tag is its code, type, count, and value or place."""
    data = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    for number, tags in enumerate(directories):
        place = len(data) + 2 + 12 * len(tags) + 4
        data += struct.pack(f"{order}H", len(tags))
        data += b"".join(struct.pack(f"{order}HHII", *tag) for tag in tags)
        data += struct.pack(f"{order}I", place if number + 1 < len(directories) else following)
    return data + bytes(4096)


def tags(width: int = 8, height: int = 8, **changed: int) -> list[tuple[int, int, int, int]]:
    """Return the tags of an 8-bit grey image whose pixels lie at byte 1024."""
    values = {
        "bits": 8,
        "compression": 1,
        "photometric": 1,
        "place": 1024,
        "samples": 1,
        "size": width * height % 2**32,
    }
    values = {"width": width, "height": height, "rows": height} | values | changed
    codes = {"width": 256, "height": 257, "bits": 258, "compression": 259, "photometric": 262, "place": 273}
    codes |= {"samples": 277, "rows": 278, "size": 279, "planar": 284, "tile_width": 322, "tile_length": 323}
    codes |= {"format": 339, "predictor": 317, "extra": 338, "sub": 330, "depth": 32997}
    return sorted((codes[name], 4, 1, value) for name, value in values.items())


def npy_of(header: str, data: bytes = b"", version: tuple[int, int] = (1, 0), length: int | None = None) -> bytes:
    """Write an ``.npy`` file with any header."""
    text = header.encode() + b"\n"
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes(version) + size + text + data


def jpeg_with_size(data: bytes, width: int, height: int) -> bytes:
    """Return a JPEG that declares another size."""
    place = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: place + 5] + struct.pack(">HH", height, width) + data[place + 9 :]


def _checksum(data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data))


def _pillow(picture: Pillow.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@cache
def _zeros(megabytes: int = _MEGABYTES) -> bytes:
    """Pack so many zeros; a thousandth of their size."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(megabytes)) + packer.flush()


def _damaged(data: bytes, other: bytes, way: int, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(1, len(data)))
    if way == _CUT:
        return data[:place]
    if way in (_FLIP, _FLIP_HEADER):
        changed = bytearray(data)
        end = len(data) if way == _FLIP else min(len(data), 160)
        for spot in rng.integers(4, end, int(rng.integers(1, 12))):
            changed[spot] = int(rng.integers(256))
        return bytes(changed)
    if way == _INSERT:
        return data[:place] + rng.bytes(int(rng.integers(1, 200))) + data[place:]
    if way == _REMOVE:
        return data[:place] + data[place + int(rng.integers(1, 60)) :]
    return data[:place] + other[int(rng.integers(len(other))) :]


def _pngs() -> Iterator[OddFile]:
    rows = zlib.compress(bytes(9 * 8))
    header, pixels, end = png_header(8, 8), (b"IDAT", rows), (b"IEND", b"")
    sizes = [(0, 0), (0, 8), (8, 0), (200_000, 200_000), (2**31 - 1, 1), (1, 2**31 - 1), (2**32 - 1, 2**32 - 1)]
    for width, height in sizes:
        for bits, colour in ((8, 0), (16, 2), (1, 3)):
            name = f"{width}x{height}-{bits}-{colour}.png"
            yield OddFile(name, png_of(png_header(width, height, bits, colour), pixels, end), "image/png")
    yield OddFile("blank-wide.png", png_of(png_header(20_000, 20_000, 1), (b"IDAT", _zeros(49)), end))
    bomb = _zeros()
    for kind, start in ((b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")):
        yield OddFile(f"{kind.decode()}-bomb.png", png_of(header, (kind, start + bomb), pixels, end))
        yield OddFile(f"{kind.decode()}-bomb-after.png", png_of(header, pixels, (kind, start + bomb), end))
        deep = png_header(8, 8, 16, 2)
        yield OddFile(f"{kind.decode()}-bomb-deep.png", png_of(deep, (kind, start + bomb), (b"IDAT", bomb), end))
        yield OddFile(f"{kind.decode()}-many.png", png_of(header, *[(kind, start + rows)] * 3000, pixels, end))
    yield OddFile("pixels-bomb.png", png_of(header, (b"IDAT", bomb), end))
    frames, frame = struct.pack(">II", 3, 0), struct.pack(">IIIIIHHBB", 0, 8, 8, 0, 0, 1, 10, 0, 0)
    animated = [(b"acTL", frames), (b"fcTL", frame), pixels]
    animated += [(b"fcTL", frame), (b"fdAT", struct.pack(">I", 1) + rows)] * 2
    yield OddFile("animated.png", png_of(header, *animated, end))
    yield OddFile("animated-deep.png", png_of(png_header(2, 2, 16, 2), *animated, end))
    for number in (0, 1, 2**32 - 1):
        yield OddFile(f"frames-{number}.png", png_of(header, (b"acTL", struct.pack(">II", number, 0)), pixels, end))
    for bits, colour in ((0, 0), (3, 0), (8, 1), (8, 5), (8, 7), (16, 3), (255, 255)):
        yield OddFile(f"kind-{bits}-{colour}.png", png_of(png_header(8, 8, bits, colour), pixels, end))
    yield OddFile("no-palette.png", png_of(png_header(8, 8, 8, 3), pixels, end))
    yield OddFile("short-palette.png", png_of(png_header(8, 8, 8, 3), (b"PLTE", b"\1\2\3\4"), pixels, end))
    yield OddFile("long-palette.png", png_of(png_header(8, 8, 8, 3), (b"PLTE", bytes(3000)), pixels, end))
    yield OddFile("no-pixels.png", png_of(header, end))
    yield OddFile("no-header.png", png_of(pixels, end))
    yield OddFile("two-headers.png", png_of(header, png_header(200_000, 200_000), pixels, end))
    yield OddFile("header-between.png", png_of(header, pixels, png_header(2000, 2000), pixels, end))
    yield OddFile("header-after.png", png_of(header, pixels, png_header(9000, 9000), end))
    yield OddFile("two-smaller-headers.png", png_of(header, png_header(9000, 9000), pixels, end))
    yield OddFile("many-pixels-chunks.png", png_of(header, *[(b"IDAT", b"")] * 5000, pixels, end))
    yield OddFile("endless-chunk.png", png_of(header)[:33] + b"\xff\xff\xff\xffIDAT" + rows)
    yield OddFile("transparent-deep.png", png_of(png_header(2, 2, 16, 2), (b"tRNS", bytes(6)), pixels, end))


def _jpegs() -> Iterator[OddFile]:
    noise = np.random.default_rng(SEED).integers(0, 256, (24, 30, 3), dtype=np.uint8)
    plain, layered = (_pillow(Pillow.fromarray(noise), "JPEG", progressive=layers) for layers in (False, True))
    for width, height in ((0, 0), (0, 9), (9, 0), (65_535, 65_535), (65_500, 65_500), (4000, 4000), (1, 65_535)):
        yield OddFile(f"{width}x{height}.jpg", jpeg_with_size(plain, width, height), "image/jpeg")
        yield OddFile(f"{width}x{height}-layers.jpg", jpeg_with_size(layered, width, height))
    scan = plain[plain.find(b"\xff\xda") : -2]
    yield OddFile("many-scans.jpg", plain[:-2] + scan[:20] * 500 + b"\xff\xd9")
    frame = plain[plain.find(b"\xff\xc0") : plain.find(b"\xff\xc4")]
    yield OddFile("two-frames.jpg", plain.replace(frame, frame + jpeg_with_size(frame, 60_000, 60_000), 1))
    yield OddFile("two-smaller-frames.jpg", plain.replace(frame, frame + jpeg_with_size(frame, 9000, 9000), 1))
    yield OddFile("no-frame.jpg", plain.replace(frame, b"", 1))
    yield OddFile("components.jpg", plain.replace(frame, frame[:9] + b"\xff" + frame[10:], 1))
    yield OddFile("twelve-bits.jpg", plain.replace(frame, frame[:4] + b"\x0c" + frame[5:], 1))
    yield OddFile("junk.jpg", plain[:2] + b"\xff" * 10**6 + plain[2:])
    yield OddFile("many-segments.jpg", plain[:2] + b"\xff\xe1\0\2" * 200_000 + plain[2:])
    yield OddFile("only-start.jpg", b"\xff\xd8\xff")
    yield OddFile("only-markers.jpg", b"\xff\xd8" + b"\xff" * 10**6)
    file = io.BytesIO()
    picture = Pillow.fromarray(noise)
    picture.save(file, "MPO", save_all=True, append_images=[picture])
    yield OddFile("two-pictures.jpg", file.getvalue())


def _bmps() -> Iterator[OddFile]:
    def bmp(width: int, height: int, bits: int = 24, compression: int = 0, colours: int = 0, place: int = 54) -> bytes:
        head = struct.pack("<2sIII", b"BM", 54, 0, place)
        return head + struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, colours, 0)

    for width, height in ((0, 0), (8, 0), (-8, 8), (8, -8), (8, -(2**31)), (200_000, 200_000), (2**31 - 1, 2**31 - 1)):
        yield OddFile(f"{width}x{height}.bmp", bmp(width, height) + bytes(8 * 24), "image/bmp")
    for bits in (0, 1, 2, 3, 4, 8, 16, 32, 64):
        yield OddFile(f"{bits}-bits.bmp", bmp(8, 8, bits) + bytes(500))
    for compression in range(1, 8):
        yield OddFile(f"packed-{compression}.bmp", bmp(8, 8, 8, compression) + bytes(2000))
    yield OddFile("colours.bmp", bmp(8, 8, 8, 0, 2**32 - 1) + bytes(2000))
    yield OddFile("place.bmp", bmp(8, 8, place=2**32 - 1) + bytes(2000))
    yield OddFile("os2.bmp", struct.pack("<2sIIIIHHHH", b"BM", 26, 0, 26, 12, 8, 8, 1, 24) + bytes(192))
    yield OddFile("header.bmp", b"BM" + bytes(12) + struct.pack("<I", 2**32 - 1) + bytes(100))


def _tiffs() -> Iterator[OddFile]:
    good = tags()
    for width, height in ((0, 0), (0, 8), (8, 0), (200_000, 200_000), (2**32 - 1, 2**32 - 1), (2**31, 1)):
        yield OddFile(f"{width}x{height}.tif", tiff_of(tags(width, height)), "image/tiff")
        yield OddFile(f"{width}x{height}-motorola.tif", tiff_of(tags(width, height), order=">"))
    changes = {
        "samples": (0, 3, 65_535, 2**32 - 1),
        "bits": (0, 1, 3, 7, 24, 64, 128, 2**32 - 1),
        "compression": (0, 2, 3, 4, 5, 6, 7, 8, 9, 32_773, 34_712, 34_887, 34_925, 34_933, 50_000, 50_001, 50_002, 99),
        "photometric": (0, 2, 3, 4, 5, 6, 8, 32_803, 99),
        "place": (0, 7, 2**32 - 1),
        "rows": (0, 2**32 - 1),
        "size": (0, 1, 2**32 - 1),
        "planar": (0, 2, 9),
        "format": (0, 3, 4, 5, 6, 99),
        "predictor": (2, 3, 99, 34_892),
        "extra": (0, 1, 99),
        "depth": (0, 7, 2**32 - 1),
        "tile_width": (16, 65_520, 2**32 - 16),
    }
    for name, values in changes.items():
        for value in values:
            more = {"tile_length": value} if name == "tile_width" else {}
            yield OddFile(f"{name}-{value}.tif", tiff_of(tags(**{name: value, **more})))
    for left_out in range(len(good)):
        yield OddFile(f"without-{good[left_out][0]}.tif", tiff_of(good[:left_out] + good[left_out + 1 :]))
    offsets = [(273, 4, 60_000, 200), (279, 4, 60_000, 200), *((c, *t) for c, *t in tags(1, 60_000, rows=1))]
    shared = [tag for tag in offsets if not (tag[0] in (273, 279) and tag[2] == 1)]
    yield OddFile("shared-strips.tif", tiff_of(sorted(shared))[:200] + struct.pack("<I", 240_000) * 60_200)
    yield OddFile("no-tags.tif", tiff_of([]))
    yield OddFile("loop.tif", tiff_of(good, following=8))
    yield OddFile("loop-of-two.tif", tiff_of(good, good, following=8))
    yield OddFile("loop-below.tif", tiff_of(tags(sub=8)))
    # Two ways down from each, all of which lead to the first.
    twice = tiff_of(sorted([*good, (270, 2, 20, 1500), (330, 4, 2, 1600)]))
    twice = twice[:1500] + b'{"shape": [8, 8]}   ' + bytes(80) + struct.pack("<II", 8, 8) + twice[1608:]
    yield OddFile("loops-below.tif", twice)
    yield OddFile("many-directories.tif", tiff_of(*[[(256, 4, 1, 1), (257, 4, 1, 1)]] * 10_000))
    yield OddFile("many-empty-directories.tif", tiff_of(*[[]] * 40_000))
    yield OddFile("all-tags.tif", tiff_of([(code, 4, 1, 1) for code in range(65_535)]))
    for count in (2, 1000, 2**16, 2**24, 2**32 - 1):
        for code in (256, 258, 270, 273, 279, 320, 330, 347, 34_665, 50_839):
            yield OddFile(f"count-{code}-{count}.tif", tiff_of(sorted([*good, (code, 4, count, 8)])))
    bigger = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 2)
    for count in (1, 2**32, 2**60, 2**64 - 1):
        tag = struct.pack("<HHQQ", 256, 4, count, 8) + struct.pack("<HHQQ", 273, 16, count, 8)
        yield OddFile(f"bigger-{count}.tif", bigger + tag + bytes(100))
    yield OddFile("bigger-many.tif", bigger[:16] + struct.pack("<Q", 2**64 - 1) + bytes(100))
    pixels = {5: imagecodecs.lzw_encode, 8: imagecodecs.zlib_encode, 50_000: imagecodecs.zstd_encode}
    for compression, pack in pixels.items():
        packed = pack(bytes(_MEGABYTES * 2**20))
        directory = tiff_of(tags(compression=compression, place=8 + 2 + 12 * 9 + 4, size=len(packed)))
        yield OddFile(f"unpacks-{compression}.tif", directory[:122] + packed)
    noise = np.random.default_rng(SEED).integers(0, 256, (24, 30), dtype=np.uint8)
    stream = jpeg_with_size(_pillow(Pillow.fromarray(noise), "JPEG"), 65_500, 65_500)
    directory = tiff_of(tags(24, 30, compression=7, place=122, size=len(stream)))
    yield OddFile("large-stream.tif", directory[:122] + stream)
    yield from _described()


def _described() -> Iterator[OddFile]:
    """TIFF files that say more of themselves than they hold."""
    start = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image><Pixels '
    shape = 'DimensionOrder="XYZCT" Type="uint8" SizeX="8" SizeY="8" SizeZ="1" SizeC="1" SizeT="{}">'
    end = "</Pixels></Image></OME>"
    other = "<TiffData IFD='0'><UUID FileName='other.tif'>urn:uuid:1</UUID></TiffData>"
    texts = {
        "times": start + shape.format(10**9) + "<TiffData/>" + end,
        "negative": start + shape.format(-3) + "<TiffData/>" + end,
        "no-number": start + shape.format("many") + "<TiffData/>" + end,
        "planes": start + shape.format(1) + '<TiffData IFD="0" PlaneCount="1000000000"/>' + end,
        "first": start + shape.format(5) + '<TiffData FirstT="4" IFD="999999999" PlaneCount="1"/>' + end,
        "other-file": start + shape.format(2) + other + end,
        "entity": '<!DOCTYPE OME [<!ENTITY a "8">]>' + start + shape.format("&a;") + end,
        "deep": start + shape.format(1) + "<a>" * 20_000 + end,
        "many": start + shape.format(1) + "<TiffData/>" * 20_000 + end,
        "imagej-many": "ImageJ=1.53\nimages=1000000000\nslices=1000000000\nhyperstack=true\n",
        "imagej-none": "ImageJ=1.53\nimages=0\nslices=-1\nchannels=nan\n",
        "shape-many": '{"shape": [1000000000, 8, 8]}',
        "shape-none": '{"shape": [0, 8, 8]}',
        "shape-words": '{"shape": ["a", null]}',
        "shape-deep": '{"shape": ' + "[" * 50_000,
        "long": "x" * 5_000_000,
        "scanimage": "state.configPath = 'x'\nSI.VERSION_MAJOR = 1000000000",
    }
    for name, text in texts.items():
        data = tiff(np.zeros((8, 8), np.uint8), description=text, metadata=None)
        yield OddFile(f"says-{name}.tif", data)


def _npys() -> Iterator[OddFile]:
    yield OddFile("objects.npy", npy(np.array([{}, None], object)))
    for shape in ((10**6, 10**6), (2**62, 2**62), (-1, 8), (0, 8), (0, 0), (), (8,), (1,) * 8, (2, 3, 4, 5, 6)):
        text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
        yield OddFile(f"shape-{'x'.join(map(str, shape))}.npy", npy_of(text, bytes(720)))
    for kind in ("|O", "<U9", "|S9", "<c16", "<M8[s]", "|V4", "|V1000000000", "<f16", "what", "|b1", ">f8"):
        text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': (2, 2), }}"
        yield OddFile(f"kind-{kind[1:3]}.npy", npy_of(text, bytes(720)))
    fields = "{'descr': [('a', '|u1'), ('b', '|O')], 'fortran_order': False, 'shape': (2, 2), }"
    yield OddFile("fields.npy", npy_of(fields, bytes(720)))
    good = "{'descr': '|u1', 'fortran_order': False, 'shape': (8, 8), }"
    for version in ((0, 0), (2, 0), (3, 0), (9, 9)):
        yield OddFile(f"version-{version[0]}.npy", npy_of(good, bytes(64), version))
    yield OddFile("long-header.npy", npy_of(good, bytes(64), (2, 0), 2**32 - 1))
    yield OddFile("spaces.npy", npy_of(good + " " * 60_000, bytes(64)))
    for name, text in (("brackets", "(" * 9000), ("signs", "-" * 9000 + "1"), ("call", "open('a')"), ("none", "")):
        yield OddFile(f"{name}.npy", npy_of(text, bytes(64)))
    file = io.BytesIO()
    np.savez(file, a=np.zeros((8, 8)))
    yield OddFile("archive.npy", file.getvalue())


def _others() -> Iterator[OddFile]:
    picture = Pillow.fromarray(np.random.default_rng(SEED).integers(0, 256, (24, 30, 3), dtype=np.uint8))
    for kind in ("GIF", "WEBP", "ICO", "PPM", "TGA"):
        yield OddFile(f"a.{kind.lower()}", _pillow(picture, kind), "image/png")
    frames = {"save_all": True, "append_images": [picture.rotate(90), picture.rotate(180)]}
    for kind in ("GIF", "WEBP"):
        yield OddFile(f"animated.{kind.lower()}", _pillow(picture, kind, **frames), f"image/{kind.lower()}")
    texts = {
        "vector.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>',
        "page.html": b"<!doctype html><title>a</title>",
        "drawing.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n",
        "page.pdf": b"%PDF-1.4\n%%EOF\n",
        "archive.gz": zlib.compress(bytes(100), wbits=31),
        "empty": b"",
        "zero": b"\0",
        "zeros": bytes(5000),
    }
    for name, data in texts.items():
        yield OddFile(name, data)
    magic: dict[str, Callable[[], bytes]] = {
        "png": lambda: b"\x89PNG\r\n\x1a\n",
        "jpg": lambda: b"\xff\xd8\xff\xe0",
        "bmp": lambda: b"BM",
        "tif": lambda: b"II*\0",
        "big.tif": lambda: b"MM\0+\0\x08\0\0",
        "npy": lambda: b"\x93NUMPY\1\0",
    }
    noise = np.random.default_rng(SEED).bytes(3000)
    for name, start in magic.items():
        yield OddFile(f"only-magic.{name}", start())
        yield OddFile(f"noise.{name}", start() + noise)
