"""`POST /predict`, both ends of it: the pixels of a plane in; progress, and then what the network says of it, out.

The answer is one stream that any proxy passes on: lines of JSON, each an object with one key, then bytes.

- ``{"progress": [done, total]}`` and ``{"stage": "calibrating"}``, as they come, and ``{"alive": true}`` where nothing
  else was said for a while, so that a connection that is dead is told from a network that is slow;
- ``{"error": {...}}``, an `ErrorDetail`, ends the stream where the network failed after it had begun;
- ``{"prediction": {...}}``, a `PredictionHeader`, is the last line otherwise. After it come the arrays: little-endian
  float32 in C order, the probability first. Where the client asked for it, they are cut into blocks of 4 MiB, each of
  them compressed by Zstandard, bit for bit, after the number of its bytes as a little-endian uint32.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_unetseg.api.models import ErrorDetail
from napari_unetseg.callbacks import Progress
from napari_unetseg.image import Image
from napari_unetseg.inference.prediction import Prediction
from napari_unetseg.inference.run_facts import RunFacts
from napari_unetseg.probability_maps import allocate_map

PATH = "/predict"
NPY = "application/x-npy"
MEDIA_TYPE = "application/vnd.napari-unetseg.prediction"
ALIVE_EVERY_S = 3.0
"""Seconds without a line after which the server says that it is still there."""

_BLOCK = 2**22
_LONGEST_LINE = 2**20
_SIZE = 4  # bytes of the number before a block


class PredictChoices(BaseModel):
    """What the query of a request says of its pixels, which are its body, as ``.npy``."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: str | None = Field(None, max_length=200, description="Name of a model; left out: the server's own.")
    axes: Literal["YX", "YXC", "CYX"] = Field("YX", description="What the axes of the array are.")
    rgb: bool = Field(False, description="Whether the channels are the red, green and blue (and alpha) of a picture.")
    name: str = Field("image", max_length=200, description="What messages call the image.")
    diameter: float | None = Field(None, description="See POST /segment; left out: the image is seen as it is.")
    augment: bool = Field(False, description="See POST /segment.")
    compress: bool = Field(False, description="Whether to compress the answer, without loss, for a slow network.")

    def as_query(self) -> dict[str, str]:
        """Return what was chosen as the parameters of a query."""
        chosen = self.model_dump(mode="json", exclude_defaults=True)
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in chosen.items()}


class PredictionHeader(BaseModel):
    """All that is told of a prediction but its numbers; names are those of `Prediction` and `RunFacts`."""

    model_config = ConfigDict(protected_namespaces=())

    format: Literal[1] = 1
    shape: tuple[int, int, int]
    has_agreement: bool
    compressed: bool
    warnings: tuple[str, ...]
    window: int
    halo: int
    tiles: int
    resized_to: tuple[int, int] | None
    largest_window: int | None
    batch_size: int
    sampled: int
    model: str
    sha256: str = Field(description="Of the model's weights.")
    card_sha256: str = Field(description="Of what its card says about numbers.")
    facts: RunFacts
    version: str
    versions: dict[str, str] = Field(description="Of the libraries that shape the numbers.")


@dataclass(frozen=True)
class ServedPrediction:
    """What a server says of a plane.

    Attributes
    ----------
    prediction
        What the network says.
    model, sha256, card_sha256
        Name of the model, and the SHA-256 of its weights and of what its card says about numbers.
    facts
        How the server computed it.
    version, versions
        Of the server, and of its libraries that shape the numbers.
    """

    prediction: Prediction
    model: str
    sha256: str
    card_sha256: str
    facts: RunFacts
    version: str
    versions: dict[str, str]


class StreamFailed(Exception):
    """The server says in its stream that it failed; `detail` says why."""

    def __init__(self, detail: ErrorDetail) -> None:
        super().__init__(detail.message)
        self.detail = detail


class StreamBroken(Exception):
    """What came is no such stream, or one of a later format."""


def npy_parts(array: NDArray[Any]) -> tuple[bytes, NDArray[Any]]:
    """Return the header of an array as ``.npy``, and the array as what follows it: in C order."""
    from io import BytesIO

    contiguous = np.ascontiguousarray(array)
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(contiguous))
    return header.getvalue(), contiguous


def line(kind: str, value: object) -> bytes:
    """Write a line of the stream before its end: of ``"progress"``, ``"stage"`` or ``"alive"``."""
    return _line({kind: value})


def error_line(detail: ErrorDetail) -> bytes:
    """Write the line that ends the stream of a run that failed."""
    return _line({"error": detail.model_dump(mode="json")})


def last_parts(served: ServedPrediction, *, compress: bool) -> Iterator[bytes | memoryview]:
    """Write the end of the stream: the header's line, and the arrays."""
    prediction = served.prediction
    arrays = [array for array in (prediction.probability, prediction.agreement) if array is not None]
    own = {name: getattr(served, name) for name in ("model", "sha256", "card_sha256", "facts", "version", "versions")}
    told = {name: getattr(prediction, name) for name in PredictionHeader.model_fields if hasattr(prediction, name)}
    header = PredictionHeader(
        shape=prediction.probability.shape,
        has_agreement=prediction.agreement is not None,
        compressed=compress,
        **(told | own),
    )
    yield _line({"prediction": header.model_dump(mode="json")})
    for array in arrays:
        data = np.ascontiguousarray(array, dtype="<f4").reshape(-1).view(np.uint8).data
        for start in range(0, len(data), _BLOCK):
            block = data[start : start + _BLOCK]
            if compress:
                from imagecodecs import zstd_encode

                packed = bytes(zstd_encode(bytes(block), level=1))
                yield len(packed).to_bytes(_SIZE, "little")
                yield packed
            else:
                yield block


class PredictionReader:
    """Reads the stream as it comes, in parts of any length.

    Parameters
    ----------
    image
        The plane that was sent.
    heads
        How many maps the model has. An answer of another shape is refused before room is made for it.
    progress
        Called with what the stream says of it.
    on_stage
        So, too.

    Attributes
    ----------
    served
        What the server said; None until all of it is there.
    """

    def __init__(self, image: Image, heads: int, progress: Progress, on_stage: Any) -> None:
        self.served: ServedPrediction | None = None
        self._image = image
        self._heads = heads
        self._progress = progress
        self._on_stage = on_stage
        self._waiting = bytearray()  # of an unfinished line or block
        self._header: PredictionHeader | None = None
        self._maps: NDArray[np.float32]
        self._remarks: tuple[str, ...] = ()
        self._targets: list[memoryview] = []  # what of the arrays is still to come

    def feed(self, data: bytes) -> None:
        """Take the next part.

        Raises
        ------
        StreamFailed
            If the server says that it failed.
        StreamBroken
            If this is no such stream, or there is more of it than there should be.
        ImageError
            If there is no room for the maps.
        """
        rest = memoryview(data)
        while len(rest):
            if self.served is not None:
                raise StreamBroken("there is more than was announced")
            if self._header is None:
                rest = self._take_line(rest)
            elif self._header.compressed:
                rest = self._take_block(rest)
            else:
                rest = self._take_bytes(rest)
            if self._header is not None and not self._targets:
                self._finish(self._header)

    def _take_line(self, data: memoryview) -> memoryview:
        end = bytes(data).find(b"\n")
        self._waiting += data if end < 0 else data[:end]
        if len(self._waiting) > _LONGEST_LINE:
            raise StreamBroken("a line is too long")
        if end < 0:
            return data[len(data) :]
        text, self._waiting = bytes(self._waiting), bytearray()
        self._read_line(text)
        return data[end + 1 :]

    def _read_line(self, text: bytes) -> None:
        try:
            said = json.loads(text)
            if not isinstance(said, dict):
                raise StreamBroken("a line is no object")
            if "progress" in said:
                done, total = said["progress"]
                self._progress(int(done), int(total))
            elif "stage" in said:
                self._on_stage(str(said["stage"]))
            elif "error" in said:
                raise StreamFailed(ErrorDetail.model_validate(said["error"]))
            elif "prediction" in said:
                self._begin(PredictionHeader.model_validate(said["prediction"]))
        except (ValueError, TypeError, ValidationError) as error:
            raise StreamBroken(f"a line is not as it should be: {error}") from error

    def _begin(self, header: PredictionHeader) -> None:
        wanted = (self._heads, *self._image.shape)
        if header.shape != wanted:
            raise StreamBroken(f"the maps are {header.shape}, not {wanted}")
        shape = (self._heads + header.has_agreement, *self._image.shape)
        self._maps, self._remarks = allocate_map(shape, self._image.name)
        flat = self._maps.reshape(-1).view(np.uint8)
        # As the server cuts them: no block holds parts of two arrays.
        edge = 4 * prod(wanted)
        self._targets = [
            flat[start : min(start + _BLOCK, stop)].data
            for first, stop in ((0, edge), (edge, len(flat)))
            for start in range(first, stop, _BLOCK)
        ]
        self._header = header

    def _take_bytes(self, data: memoryview) -> memoryview:
        target = self._targets[0]
        taken = data[: len(target)]
        target[: len(taken)] = taken
        if len(taken) == len(target):
            self._targets.pop(0)
        else:
            self._targets[0] = target[len(taken) :]
        return data[len(taken) :]

    def _take_block(self, data: memoryview) -> memoryview:
        from imagecodecs import ZstdError, zstd_decode

        waiting = self._waiting
        missing = _SIZE - len(waiting)
        if missing <= 0:
            missing += int.from_bytes(waiting[:_SIZE], "little")
        taken = data[:missing]
        waiting += taken
        rest = data[len(taken) :]
        size = int.from_bytes(waiting[:_SIZE], "little")
        if len(waiting) == _SIZE and not 0 < size <= 2 * _BLOCK:
            raise StreamBroken(f"a block cannot have {size} bytes")
        if len(waiting) == _SIZE + size:
            target = self._targets.pop(0)
            try:
                block = zstd_decode(bytes(waiting[_SIZE:]), out=len(target))
            except (ZstdError, ValueError) as error:
                raise StreamBroken(f"a block cannot be unpacked: {error}") from error
            if len(block) != len(target):
                raise StreamBroken("a block has another length than it should")
            target[:] = block
            self._waiting = bytearray()
        return rest

    def _finish(self, header: PredictionHeader) -> None:
        maps = self._maps
        if sys.byteorder == "big":
            maps.byteswap(inplace=True)
        told = {name: getattr(header, name) for name in Prediction.__dataclass_fields__ if hasattr(header, name)}
        told["warnings"] = (*header.warnings, *self._remarks)
        prediction = Prediction(
            probability=maps[: self._heads],
            agreement=maps[self._heads] if header.has_agreement else None,
            **told,
        )
        own = {name: getattr(header, name) for name in ("model", "sha256", "card_sha256", "facts", "version")}
        self.served = ServedPrediction(prediction, versions=dict(header.versions), **own)


def _line(said: dict[str, object]) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"
