"""How a result came about, in plain values."""

from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import napari_unetseg
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.service.requests import request_id

if TYPE_CHECKING:
    from napari_unetseg.inference.predict import Prediction
    from napari_unetseg.service.runtime import Runtime

_LIBRARIES = ("numpy", "scipy", "scikit-image", "torch")


@dataclass(frozen=True)
class Provenance:
    """How a result came about: enough to make it again.

    Attributes
    ----------
    image
        Name of the image layer or file.
    model, sha256
        Name of the model and the SHA-256 of its weights.
    parameters
        Every decoder parameter as used.
    channel
        Channel of the image that was segmented; None for all of an RGB or grey image.
    device, device_reason, precision
        Where and in what arithmetic the network ran, and why there.
    backend
        Runtime of the network, ``"torch"`` or ``"onnxruntime"``.
    window, halo, tiles
        Side of the network's input window and halo in pixels, and how many tiles there were. Tiles
        without a halo were blended.
    resized_to
        Height and width to which the image was stretched for the network; None if it was not.
    diameter
        Typical diameter of the objects in pixels, by which the image was to be rescaled; None if it was not given.
    augmented
        Whether the probabilities are the mean over eight flips and turns.
    versions
        Versions of this package and of the libraries that shape the numbers.
    started, seconds
        Start as ISO 8601 with time zone; duration of the network's part in seconds. In a batch, the mean
        over the images so far.
    request_id
        Under which the log has the call.
    """

    image: str
    model: str
    sha256: str
    parameters: dict[str, Any]
    channel: int | None
    device: str
    device_reason: str
    backend: str
    precision: str
    window: int
    halo: int
    tiles: int
    resized_to: tuple[int, int] | None
    versions: dict[str, str]
    started: str
    seconds: float
    request_id: str | None = None
    diameter: float | None = None
    augmented: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON, YAML and layer metadata."""
        return asdict(self)


def record(
    runtime: "Runtime",
    prediction: "Prediction",
    *,
    image: str,
    channel: int | None,
    diameter: float | None,
    parameters: DecodeParameters,
    started: datetime,
    seconds: float,
) -> Provenance:
    """Write down what was used; `Provenance` explains each part."""
    return Provenance(
        image=image,
        model=runtime.card.name,
        sha256=runtime.card.weights.sha256,
        parameters=parameters.model_dump(),
        channel=channel,
        device=runtime.device.kind,
        device_reason=runtime.device.reason,
        backend=runtime.backend_name,
        precision=runtime.backend.precision,
        window=prediction.window,
        halo=prediction.halo,
        tiles=prediction.tiles,
        resized_to=prediction.resized_to,
        versions={"napari-unetseg": napari_unetseg.__version__} | {name: version(name) for name in _LIBRARIES},
        started=started.isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        request_id=request_id(),
        diameter=diameter,
        augmented=prediction.agreement is not None,
    )
