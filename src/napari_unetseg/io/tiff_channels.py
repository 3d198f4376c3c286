"""Names of the channels of TIFF files, as OME, ImageJ and LSM files state them."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree

import tifffile

# ImageJ writes where a plane lies before its label: "c:1/3 z:2/5 - DAPI".
_PLACE = re.compile(r"^(?:[czt]:\d+/\d+\s*)+(?:-\s*)?", re.IGNORECASE)


def read_channel_names(file: tifffile.TiffFile, count: int) -> tuple[str, ...]:
    """Return what the channels are called, ``""`` where one has no name; nothing where none has.

    Parameters
    ----------
    file
        Open.
    count
        How many channels its image has.
    """
    names: Sequence[str] = ()
    if file.is_ome and file.ome_metadata:
        names = _ome_names(file.ome_metadata)
    elif file.is_imagej and file.imagej_metadata:
        names = _imagej_names(file.imagej_metadata.get("Labels"), count)
    elif file.is_lsm and file.lsm_metadata:
        names = file.lsm_metadata.get("ChannelColors", {}).get("ColorNames", ())
    return tuple(names) if len(names) == count and any(names) else ()


def _ome_names(xml: str) -> list[str]:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")  # noqa: S314 (expat expands no external entities)
    if pixels is None:
        return []
    names: list[str] = []
    for channel in pixels.findall("{*}Channel"):
        samples = channel.get("SamplesPerPixel", "1")
        # A channel of several samples a pixel is as many of the image.
        many = int(samples) if samples.isdecimal() else 1
        name = (channel.get("Name") or channel.get("Fluor") or "").strip()
        names += [name] if many == 1 else [""] * many
    return names


def _imagej_names(labels: object, count: int) -> list[str]:
    """Return the labels of the first planes, among which channels come first; nothing where they are no names."""
    if not isinstance(labels, list) or len(labels) < count:
        return []
    names = [_PLACE.sub("", str(label)).strip() for label in labels[:count]]
    # The planes of a stack of files all have the name of their file.
    return names if len(set(names)) == count else []
