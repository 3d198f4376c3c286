"""How a result came about, in plain values."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

import napari_unetseg
from napari_unetseg.image import Image
from napari_unetseg.inference.run_facts import RunFacts
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.segment_options import ImageOptions, SegmentOptions
from napari_unetseg.service.requests import request_id
from napari_unetseg.zoo.card import ModelCard

if TYPE_CHECKING:
    from napari_unetseg.inference.prediction import Prediction

_DECODING = ("numpy", "scipy", "scikit-image")

# What of a card decides the numbers, the parameters aside, which are recorded as they were used.
_DECISIVE = {"architecture", "input_channels", "object_size", "normalisation", "image_size", "outputs", "decoder"}


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
        Number of the channel of the image that was segmented; None for all of an RGB or grey image.
    device, device_reason, precision
        Where and in what arithmetic the network ran, and why there.
    backend
        Runtime of the network: ``"torch"``, ``"openvino"`` or ``"onnxruntime"``.
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
        Versions of this package and of the libraries that shape the numbers; those of the network, where a server
        computed it, are in `server`.
    started, seconds
        Start as ISO 8601 with time zone; duration of the network's part in seconds. In a batch, the mean
        over the images so far.
    request_id
        Under which the log has the call.
    model_source
        What finds the model again: its name, or the path of one that is in no model folder.
    card_sha256
        What `card_fingerprint` makes of the model's card.
    path
        File of the image; None if it is not known.
    axes, rgb, shape
        How what was segmented was read, as `Image` has it, and its height and width in pixels.
    largest_window, batch_size
        Side in pixels that a window could have had, None where the network sees any image whole; and most
        tiles that it saw at once.
    link
        Whether objects keep their number along the axes Z and T of a stack.
    sampled
        Every how many rows and columns of the image were looked at for the percentiles of its intensities; 1: all.
    server
        Where a server computed the network: its ``address`` and ``version``, and the ``versions`` of its libraries.
        None: this machine did.
    fixes
        What was fixed by clicks since, as plain values of `Fix`, in that order.
    channels
        Which channels were chosen by name or role, as `ChannelChoice` writes it; None where none were.
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
    model_source: str = ""
    card_sha256: str = ""
    path: str | None = None
    axes: str = "YX"
    rgb: bool = False
    shape: tuple[int, int] | None = None
    largest_window: int | None = None
    batch_size: int = 1
    link: bool = False
    sampled: int = 1
    server: dict[str, Any] | None = None
    fixes: tuple[dict[str, Any], ...] = ()
    channels: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON, YAML and layer metadata."""
        return asdict(self)


class Computed(Protocol):
    """What of a model is written down; `napari_unetseg.service.protocols.RunningModel` explains each."""

    @property
    def card(self) -> ModelCard:
        """Card of the model."""
        ...

    @property
    def source(self) -> str:
        """What finds the model again."""
        ...

    @property
    def facts(self) -> RunFacts:
        """How the network was computed."""
        ...

    @property
    def server(self) -> dict[str, Any] | None:
        """Which server computed it."""
        ...


def record(
    running_model: Computed,
    prediction: "Prediction",
    *,
    plane: Image,
    options: SegmentOptions,
    parameters: DecodeParameters,
    started: datetime,
    seconds: float,
) -> Provenance:
    """Write down what was used; `Provenance` explains each part. `plane` is what was segmented."""
    facts, card = running_model.facts, running_model.card
    return Provenance(
        image=plane.name,
        model=card.name,
        sha256=card.weights.sha256,
        parameters=parameters.model_dump(),
        device=facts.device,
        device_reason=facts.device_reason,
        backend=facts.backend,
        precision=facts.precision,
        window=prediction.window,
        halo=prediction.halo,
        tiles=prediction.tiles,
        resized_to=prediction.resized_to,
        versions=library_versions(*(() if running_model.server else ("torch",))),
        started=started.isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        request_id=request_id(),
        model_source=running_model.source,
        card_sha256=card_fingerprint(card),
        path=plane.path,
        axes=plane.axes,
        rgb=plane.rgb,
        shape=plane.shape,
        largest_window=prediction.largest_window,
        batch_size=prediction.batch_size,
        sampled=prediction.sampled,
        server=running_model.server,
        **{recorded_as(name): getattr(options, name) for name in ImageOptions.model_fields if name != "channels"},
        channels=options.channels_for(card),
    )


def library_versions(*network: str) -> dict[str, str]:
    """Return the versions of this package, of the libraries that read objects off a map, and of those of the network.

    Raises
    ------
    PackageNotFoundError
        If one is not installed.
    """
    return {"napari-unetseg": napari_unetseg.__version__} | {name: _version(name) for name in (*_DECODING, *network)}


@cache
def _version(name: str) -> str:
    """Look a version up, which takes as long as a small image: it does not change while a program runs."""
    return version(name)


def recorded_as(option: str) -> str:
    """Return the name under which `Provenance` has an option of the image."""
    return "augmented" if option == "augment" else option


def card_fingerprint(card: ModelCard) -> str:
    """Return the SHA-256 of what a card says about the numbers: not of its words, scores and default parameters."""
    decisive = json.dumps(card.model_dump(mode="json", include=_DECISIVE), sort_keys=True)
    return hashlib.sha256(decisive.encode()).hexdigest()
