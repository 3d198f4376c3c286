"""ND2 files as NIS-Elements lays them out (version 3), as small as they can be: there is no program to write them.

The layout is that which the readers nd2, nd2reader and Bio-Formats describe: a head, then parts, each with a name, and
at the end a list of where they lie. What describes the image is in Laboratory Imaging's "lite variant": a type, a name
in UTF-16, and a value, which for a level is how many values it holds, how many bytes these are, and where each starts.
"""

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAGIC = 0x0ABECEDA
_ALIGNMENT = 4096
_LEVEL = 11


def variant(values: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Values with their names; a list has values without."""
    items = values.items() if isinstance(values, Mapping) else (("", value) for value in values)
    return b"".join(_value(name, value) for name, value in items)


def _value(name: str, value: Any) -> bytes:
    written = (name + "\0").encode("utf-16-le")
    kind = {bool: 1, int: 3, float: 6, str: 8}.get(type(value), _LEVEL)
    head = struct.pack("<BB", kind, len(name) + 1) + written
    if kind == _LEVEL:
        inner = variant(value)
        whole = len(head) + 12 + len(inner)
        return head + struct.pack("<IQ", len(value), whole) + inner + bytes(8 * len(value))
    if kind == 8:
        return head + (value + "\0").encode("utf-16-le")
    return head + struct.pack({1: "<?", 3: "<I", 6: "<d"}[kind], value)


def time_loop(count: int, milliseconds: float, average: float = 0.0) -> dict[str, Any]:
    """Time points that are meant to be so far apart, and came out on average."""
    pars = {"uiCount": count, "dStart": 0.0, "dPeriod": milliseconds, "dDuration": 0.0, "dAvgPeriodDiff": average}
    return {"eType": 1, "uLoopPars": pars}


def phases(*counts: tuple[int, float]) -> dict[str, Any]:
    """Time points in phases, each of a number that are so many milliseconds apart."""
    loops = [time_loop(count, milliseconds)["uLoopPars"] for count, milliseconds in counts]
    valid = [True for _ in loops]
    return {"eType": 8, "uLoopPars": {"uiCount": len(loops), "pPeriod": loops, "pPeriodValid": valid}}


def position_loop(names: Sequence[str]) -> dict[str, Any]:
    """Positions of the stage."""
    points = [{"dPosX": 10.0 * at, "dPosY": 0.0, "dPosZ": 0.0, "dPosName": name} for at, name in enumerate(names)]
    return {"eType": 2, "uLoopPars": {"uiCount": len(names), "bUseZ": False, "Points": points}}


def depth_loop(count: int, micrometers: float) -> dict[str, Any]:
    """Planes of a volume."""
    return {"eType": 4, "uLoopPars": {"uiCount": count, "dZStep": micrometers, "iType": 0}}


def custom_loop(count: int) -> dict[str, Any]:
    """Whatever else somebody acquired."""
    return {"eType": 7, "uLoopPars": {"uiCount": count}}


def write_nd2(
    path: Path,
    frames: Iterable[NDArray[Any] | None],
    loops: Sequence[Mapping[str, Any]] = (),
    channels: Sequence[str] = ("DAPI",),
    micrometers: float | None = 0.65,
    *,
    compression: str = "none",
    padding: int = 0,
) -> None:
    """Write a file.

    Parameters
    ----------
    path
        Where to.
    frames
        (Y, X, samples), in the order of the loops; None for one that was never recorded. Samples are those of each
        channel in turn: one, or blue, green and red. Each is written as it comes.
    loops
        The slowest first.
    channels
        What they are called.
    micrometers
        Size of a pixel; None where it is not calibrated.
    compression
        ``"lossless"``, ``"lossy"`` or ``"none"``.
    padding
        Bytes after each row.
    """
    with path.open("wb") as file:
        places: dict[bytes, tuple[int, int]] = {}

        def add(name: bytes, data: bytes) -> None:
            place = -(-file.tell() // _ALIGNMENT) * _ALIGNMENT
            file.seek(place)
            # What comes before a frame's time and pixels takes as much room as a name can have.
            room = _ALIGNMENT - 8 - 16
            file.write(struct.pack("<IIQ", _MAGIC, room, len(data)) + name.ljust(room, b"\0") + data)
            places[name] = place, len(data)

        file.write(struct.pack("<IIQ32s64s", _MAGIC, 32, 64, b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0"))
        count, first = 0, None
        for number, frame in enumerate(frames):
            count += 1
            if frame is not None:
                first = frame if first is None else first
                rows = frame.astype(frame.dtype.newbyteorder("<")).reshape(frame.shape[0], -1).view(np.uint8)
                stored = np.pad(rows, ((0, 0), (0, padding))).tobytes()
                stored = zlib.compress(stored, 1) if compression == "lossless" else stored
                # Each starts with its time.
                add(b"ImageDataSeq|%d!" % number, struct.pack("<d", 10.0 * number) + stored)
        assert first is not None
        height, width, samples = first.shape
        components = samples // len(channels)
        attributes = {
            "uiWidth": width,
            "uiWidthBytes": width * samples * first.itemsize + padding,
            "uiHeight": height,
            "uiComp": samples,
            "uiBpcInMemory": 8 * first.itemsize,
            "uiBpcSignificant": 8 * first.itemsize,
            "uiSequenceCount": count,
            "eCompression": ("lossless", "lossy", "none").index(compression),
        }
        planes = {
            # nd2 fails where nothing is said of a probe.
            f"a{at}": {"uiCompCount": components, "sDescription": name, "pFluorescentProbe": {"m_uiColor": 0}}
            for at, name in enumerate(channels)
        }
        metadata = {
            "bCalibrated": micrometers is not None,
            "dCalibration": micrometers or 0.0,
            "sPicturePlanes": {"uiCount": len(channels), "uiCompCount": samples, "sPlaneNew": planes},
        }
        add(b"ImageAttributesLV!", variant({"SLxImageAttributes": attributes}))
        add(b"ImageMetadataSeqLV|0!", variant({"SLxPictureMetadata": metadata}))
        if loops:
            nested: dict[str, Any] = dict(loops[-1])
            for loop in reversed(loops[:-1]):
                nested = {**loop, "ppNextLevelEx": [nested]}
            add(b"ImageMetadataLV!", variant({"SLxExperiment": nested}))
        end = file.tell()
        listed = b"".join(name + struct.pack("<QQ", *place) for name, place in places.items())
        listed += b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<QQ", 0, 0)
        name = b"ND2 FILEMAP SIGNATURE NAME 0001!"
        file.write(struct.pack("<IIQ", _MAGIC, len(name), len(listed)) + name + listed)
        file.write(b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", end))
