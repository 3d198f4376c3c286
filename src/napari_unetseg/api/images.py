"""The bytes of a request as an `Image`: the kind is told by what they are, the header checked before any pixel."""

from dataclasses import dataclass

from napari_unetseg.image import Image


@dataclass(frozen=True)
class ImageLimits:
    """How large an image of a request may be.

    Attributes
    ----------
    max_values
        Most values: width x height x channels x planes.
    max_compression
        Most values for each byte of the file.
    """

    max_values: int
    max_compression: float


def decode_image(
    data: bytes, limits: ImageLimits, *, media_type: str | None, name: str, axes: str | None = None
) -> Image:
    """Read PNG, JPEG, BMP, TIFF or ``.npy`` from memory; raises ImageError, in a sentence without paths."""
    raise NotImplementedError


def decode_base64(text: str, *, max_bytes: int | None = None) -> bytes:
    """Decode base64, strictly; raises ImageError."""
    raise NotImplementedError
