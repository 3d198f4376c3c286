"""`RemoteService`: the verbs of `SegmentationService`, with the network on a server and all else here."""

import copy
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from napari_unetseg.api.models import HealthResponse, InitializeRequest, InitializeResponse, ModelInfoResponse
from napari_unetseg.callbacks import CancelFlag, Progress
from napari_unetseg.client.connection import SILENCE_S, Connection, not_understood
from napari_unetseg.client.errors import ServerError
from napari_unetseg.client.key_store import key_for
from napari_unetseg.client.remote_model import RemoteLender
from napari_unetseg.client.remote_models import RemoteModels
from napari_unetseg.client.server_address import ServerAddress
from napari_unetseg.config import Settings, load_settings
from napari_unetseg.errors import UnetsegError
from napari_unetseg.image import Image
from napari_unetseg.inference.backends import device_kind
from napari_unetseg.inference.prediction import Prediction, PredictRequest
from napari_unetseg.language import Sentence, error_sentence
from napari_unetseg.probability_maps import MAPS_IN_MEMORY
from napari_unetseg.service.arguments import check_instance
from napari_unetseg.service.device_queue import DeviceQueue
from napari_unetseg.service.forecast import Forecast, Workload, network_pixels
from napari_unetseg.service.logs import Stopwatch
from napari_unetseg.service.protocols import RunningModel
from napari_unetseg.service.reports import Health, Initialization, ModelIdentity, ModelInfo
from napari_unetseg.service.runner import Runner
from napari_unetseg.service.verbs import SegmentVerbs

if TYPE_CHECKING:
    from napari_unetseg.inference.backends.openvino.int8_store import Calibration
    from napari_unetseg.service.block_segmentation import BlockResult

FORECAST_SILENCE_S = 3.0
"""Seconds for which a forecast waits for the server to say on which device it runs."""


class RemoteService(SegmentVerbs):
    """Segment images with the models of a server; this machine needs neither a GPU nor torch.

    The server computes probabilities; objects are read off them, measured and recorded here, as with
    `SegmentationService`, so that labels are the same. Any number of threads may call any verb; each has a request of
    its own, and a batch several at once. To make one asks the server for its models.

    Parameters
    ----------
    server
        Its address, such as ``"http://lab:8001"``.
    model
        Name of a model of the server. The path of a model on this machine stands for its name. None: what the settings
        say, else the server's own.
    key
        The key for the server. None: that of the settings or of the keyring, if there is one.
    settings
        None: those of this machine, as `napari_unetseg.config.load_settings` finds them.

    Attributes
    ----------
    settings
        What it goes by.
    address
        Where the server is.

    Raises
    ------
    ServerError
        If the server does not answer, or not as one of ours.
    ModelError
        If it has no such model.
    ConfigError
        If the settings of this machine are wrong.
    ParameterError
        If this is no address.
    """

    _packages: RemoteModels

    def __init__(
        self,
        server: str,
        model: str | Path | None = None,
        *,
        key: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        check_instance("settings", settings, Settings)
        check_instance("key", key, str)
        self.settings = settings or load_settings().settings
        client = self.settings.client
        self.address = ServerAddress.of(server)
        self._connection = Connection(self.address, key or key_for(self.address, client), client)
        try:
            self._packages = RemoteModels(self._connection, model or self.settings.unet.model.name)
        except Exception:
            self._connection.close()
            raise
        self._models = RemoteLender(self._connection, client.parallel_requests)
        self._runner = Runner(self._models, self.settings, ServersDevice)

    @property
    def version(self) -> str:
        """Version of the server when it was asked for its models."""
        return self._packages.version

    def with_model(self, model: str | Path | None) -> Self:
        """Return this service with another model of its own; to close one closes both.

        Raises
        ------
        ModelError
            If the server has no such model.
        """
        other = copy.copy(self)
        other._packages = self._packages.with_own(model)
        return other

    def initialize(
        self, force_reload: bool = False, warm_up: bool = True, *, model: str | Path | None = None
    ) -> Initialization:
        """Have the server load a model now, or load it again; `SegmentationService.initialize` explains the rest.

        Raises
        ------
        ServerError, ModelError
            If the server does not answer, or cannot load it.
        """
        clock = time.perf_counter()
        package = self._packages.find(model)
        wanted = InitializeRequest(force_reload=force_reload, warm_up=warm_up, model=package.name)
        answer = self._connection.post("/initialize", wanted.model_dump_json().encode())
        with self._understood():
            said = InitializeResponse.model_validate_json(answer)
        if force_reload:
            self._packages.refresh()
        info = self.model_info(model)
        return Initialization(
            success=True,
            message=Sentence(
                "{model} is ready on {device} of {server}.",
                model=info.display_name,
                device=info.device,
                server=self.address,
            ),
            initialization_time_ms=1000 * (time.perf_counter() - clock),
            service_ready=said.service_ready,
            info=info,
        )

    def needs_conversion(self, model: str | Path | None = None) -> bool:
        """Whether a model has to be converted here before it runs, which the server does."""
        return False

    def calibrate(
        self,
        images: Sequence[Image | NDArray[Any]],
        *,
        model: str | Path | None = None,
        progress: Progress | None = None,
        cancel: CancelFlag | None = None,
    ) -> "Calibration":
        """Say that models are calibrated where they run.

        Raises
        ------
        ServerError
            In any case.
        """
        raise ServerError(
            Sentence(
                "{server}: models are brought into int8 on the machine that runs them. Do it there, by "
                "SegmentationService.calibrate in a notebook.",
                server=self.address,
            )
        )

    def segment_blocks(self, *_: Any, **__: Any) -> "BlockResult":
        """Say that images beyond memory are segmented where the network runs.

        Raises
        ------
        ServerError
            In any case.
        """
        raise ServerError(
            Sentence(
                "{server}: an image beyond memory is segmented on the machine that has the image and the model. "
                "Choose this machine, or the address of a dask scheduler, in place of the server.",
                server=self.address,
            )
        )

    def model_info(self, model: str | Path | None = None) -> ModelInfo:
        """Say what a model of the server is, and how it runs if it is loaded there.

        Raises
        ------
        ServerError, ModelError
            If the server does not answer, or has no such model.
        """
        return self._model_info(model, SILENCE_S)

    def _model_info(self, model: str | Path | None, silence_s: float) -> ModelInfo:
        package = self._packages.find(model)
        answer = self._connection.get("/model-info", model=package.name, silence_s=silence_s)
        with self._understood():
            info = TypeAdapter(ModelInfo).validate_python(ModelInfoResponse.model_validate_json(answer).details)
        return replace(info, origin="server")

    def forecast(self, work: Workload, *, model: str | Path | None = None) -> Forecast:
        """Say how long a run will take about, and on which device of the server; loads nothing.

        The time is known once the server has computed an image for this service: the network between both counts, too.

        Raises
        ------
        UnetsegError
            If the diameter cannot be used with this model or image, or it is not known where the server computes.
        """
        package = self._packages.find(model)
        pixels = network_pixels(package.card, work)
        used = self._models.last_used(package)
        device, precision = self._device_of(model) if used is None else (used.facts.device, used.facts.precision)
        pace = None if used is None else self._runner.throughput.seconds_per_pixel(used)
        values = prod(work.shape) * work.planes
        maps = 4 * len(package.card.outputs) * values
        # Large ones are in a file; reading objects off them takes as much as three label images.
        memory = 12 * values + (maps if maps <= MAPS_IN_MEMORY else 0)
        return Forecast(
            device=device_kind(device),
            reason=Sentence("The network runs on the server {server}.", server=self.address),
            precision=precision,
            seconds=None if pace is None else pixels * pace,
            basis=None if pace is None else "runs",
            memory_mb=memory / 2**20,
            free_mb=psutil.virtual_memory().available / 2**20,
        )

    def _device_of(self, model: str | Path | None) -> tuple[str, str | None]:
        info = self._model_info(model, FORECAST_SILENCE_S)
        if info.device is None:
            raise ServerError(
                Sentence("{server}: the model is not loaded there yet; it loads at the first run.", server=self.address)
            )
        return info.device, info.precision

    def health(self, dummy_inference: bool = True, *, model: str | Path | None = None) -> Health:
        """Check that the server can work; what is wrong with it, or on the way to it, is reported, not raised.

        Parameters
        ----------
        dummy_inference
            Have the server load the model, and run it once, first.
        model
            Another model than the service's own.

        Raises
        ------
        ModelError
            If there is no such other model.
        """
        package = self._packages.find(model)
        problems: tuple[str, ...] = ()
        try:
            if dummy_inference:
                self.initialize(model=model)
        except UnetsegError as error:
            problems = (error_sentence(error),)
        try:
            answer = self._connection.get("/health", model=package.name)
            with self._understood():
                details = HealthResponse.model_validate_json(answer).details
                report = TypeAdapter(Health).validate_python(details)
        except UnetsegError as error:
            report = _nothing_known(package.name, error_sentence(error))
        if not problems:
            return report
        return replace(report, service_healthy=False, problems=tuple(dict.fromkeys((*problems, *report.problems))))

    def unload(self, model: str | Path | None = None) -> None:
        """Let idle connections go; what the server has in memory serves others, too."""
        self._connection.release()

    def close(self) -> None:
        """Let the connections go. Calls that need the server raise `UnetsegError` from now on."""
        self._connection.close()

    @contextmanager
    def _understood(self) -> Iterator[None]:
        try:
            yield
        except ValidationError as error:
            raise not_understood(self.address, error) from error


class ServersDevice(DeviceQueue):
    """Lets every call through: it is the server that shares its device out."""

    def predict(self, model: RunningModel, wanted: PredictRequest, watch: Stopwatch | None = None) -> Prediction:
        """Have an image computed."""
        with (watch or Stopwatch()).stage("network"):
            (outcome,) = model.predict_many([wanted])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @contextmanager
    def turn(self, cancel: CancelFlag | None = None) -> Iterator[None]:
        """Wait for nothing."""
        yield

    @contextmanager
    def on_its_way(self) -> Iterator[None]:
        """Tell nobody."""
        yield

    def let_others_go(self) -> None:
        """Let nobody wait."""


def _nothing_known(model: str, problem: str) -> Health:
    return Health(
        service_healthy=False,
        model_loaded=False,
        memory_pools_ready=False,
        gpu_available=None,
        last_health_check=None,
        model_info=ModelIdentity(model, "standard", None),
        problems=(problem,),
    )
