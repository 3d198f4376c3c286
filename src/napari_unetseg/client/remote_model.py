"""A model that a server runs: planes out, probabilities in, several at once."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

import numpy as np

from napari_unetseg.api.prediction_stream import (
    NPY,
    PATH,
    PredictChoices,
    PredictionReader,
    ServedPrediction,
    StreamBroken,
    StreamFailed,
    npy_parts,
)
from napari_unetseg.client.answers import error_of_detail
from napari_unetseg.client.connection import Buffer, Connection, not_understood
from napari_unetseg.client.errors import ServerDied, ServerError
from napari_unetseg.client.remote_models import ServerModel
from napari_unetseg.errors import Cancelled
from napari_unetseg.image import Image
from napari_unetseg.inference.object_size import size_for_network
from napari_unetseg.inference.prediction import Prediction, PredictOptions, PredictRequest
from napari_unetseg.inference.run_facts import RunFacts
from napari_unetseg.language import Sentence
from napari_unetseg.service.forecast import passes
from napari_unetseg.service.provenance import card_fingerprint
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.registry import ModelPackage

_POLL_S = 0.1
_LONGEST_NAME = 200


class RemoteModel:
    """A model of a server, for one caller.

    Parameters
    ----------
    package
        The model.
    connection
        To the server.
    parallel
        How many planes are with the server at once.
    """

    def __init__(self, package: ModelPackage, connection: Connection, parallel: int) -> None:
        self._package = package
        self._connection = connection
        self._parallel = parallel
        remark = package.remark if isinstance(package, ServerModel) else ""
        self._remarks = (remark,) if remark else ()
        self._facts: RunFacts | None = None
        self._server: dict[str, Any] = {}

    @property
    def card(self) -> ModelCard:
        """Card of the model."""
        return self._package.card

    @property
    def source(self) -> str:
        """Name of the model."""
        return self._package.name

    @property
    def facts(self) -> RunFacts:
        """How the server computed what was given last.

        Raises
        ------
        ServerError
            Before anything was.
        """
        if self._facts is None:
            raise ServerError(
                Sentence("{server}: the server has computed nothing yet.", server=self._connection.address)
            )
        return self._facts

    @property
    def server(self) -> dict[str, Any]:
        """Where the server is, and its versions when it computed what was given last."""
        return dict(self._server)

    def release_memory(self) -> None:
        """Do nothing: here nothing is kept."""

    def predict(self, image: Image, options: PredictOptions | None = None) -> Prediction:
        """Have the probability map of one plane computed.

        Raises
        ------
        Cancelled
            If `cancel` was seen to be True.
        UnetsegError
            If the server does not answer, or cannot do it.
        """
        (result,) = self.predict_many([image], options)
        if isinstance(result, Exception):
            raise result
        return result

    def predict_many(
        self, images: Iterable[Image | PredictRequest | Exception], options: PredictOptions | None = None
    ) -> Iterator[Prediction | Exception]:
        """Have planes computed, some at once; results come in their order, and a failed one has its error there.

        Progress and cancelling are as for `napari_unetseg.inference.predict.predict_many`; what says how much the
        network sees at once is the server's to choose.
        """
        options = options or PredictOptions()
        entries = iter(images)
        run = _Run(options)
        try:
            while True:
                while len(run.sent) < self._parallel and (entry := next(entries, None)) is not None:
                    run.sent.append(self._send(entry, options, run.changed))
                    del entry
                if not run.sent:
                    return
                outcome = self._settle(run)
                yield outcome
                del outcome  # its probabilities, before the next image needs room
        finally:
            run.cancel()

    def _send(self, entry: Image | PredictRequest | Exception, options: PredictOptions, changed: Event) -> "_Sent":
        """Begin a plane."""
        if isinstance(entry, Exception):
            return _Sent("", _failed(entry))
        wanted = entry if isinstance(entry, PredictRequest) else _request_for(entry, options)
        image = wanted.image
        if _is_over(options, wanted):
            return _Sent(image.name, _failed(_cancelled(image.name)), wanted)
        sent = _Sent(image.name, Future(), wanted)

        def on_progress(done: int, total: int) -> None:
            sent.counts = done, total
            changed.set()

        choices = PredictChoices(
            model=self._package.name,
            axes=image.axes,
            rgb=image.rgb,
            name=image.name[:_LONGEST_NAME],
            diameter=wanted.diameter,
            augment=wanted.augment,
            compress=not self._connection.address.is_loopback,
        )
        try:
            # What does not fit the model is told as it would be with a model of this machine.
            size_for_network(image.shape, self.card, wanted.diameter, image.name)
            header, pixels = npy_parts(np.asarray(image.array))
            body: list[Buffer] = [header, pixels.reshape(-1).view(np.uint8).data]
            sent.reader = PredictionReader(image, len(self.card.outputs), on_progress, lambda _stage: None)
            sent.future = self._connection.stream(PATH, choices.as_query(), body, NPY, sent.reader.feed)
        except Exception as error:
            sent.future = _failed(error)
        sent.future.add_done_callback(lambda _future: changed.set())
        return sent

    def _settle(self, run: "_Run") -> Prediction | Exception:
        """Wait for the first of the planes that are under way."""
        sent = run.sent[0]
        while not sent.future.done():
            run.changed.wait(_POLL_S)
            run.changed.clear()
            run.poll()
        run.sent.popleft()
        try:
            served = self._finished(sent)
        except Exception as error:
            run.finished(sent, sent.counts[1])
            return error
        self._facts = replace(served.facts, warnings=(*self._remarks, *served.facts.warnings))
        self._server = {
            "address": self._connection.address.url,
            "version": served.version,
            "versions": served.versions,
        }
        prediction = served.prediction
        run.finished(sent, prediction.tiles * passes(augment=sent.wanted is not None and sent.wanted.augment))
        return prediction

    def _finished(self, sent: "_Sent") -> ServedPrediction:
        """Return what a server said of a plane, or raise what went wrong."""
        server = self._connection.address
        try:
            sent.future.result()
        except CancelledError:
            self._connection.check_open()
            raise _cancelled(sent.name) from None
        except StreamFailed as error:
            raise error_of_detail(error.detail, server) from error
        except StreamBroken as error:
            raise not_understood(server, error) from error
        served = None if sent.reader is None else sent.reader.served
        if served is None:
            raise ServerDied(
                Sentence("{server}: the answer of the server ended in the middle. Run the image again.", server=server)
            )
        if (served.sha256, served.card_sha256) != (self.card.weights.sha256, card_fingerprint(self.card)):
            raise ServerError(
                Sentence(
                    "{server}: the model {model} was replaced there meanwhile. Reload the model, then run the image "
                    "again.",
                    server=server,
                    model=self.card.name,
                )
            )
        return served


@dataclass
class _Sent:
    """A plane that is under way."""

    name: str
    future: "Future[bytes]"
    wanted: PredictRequest | None = None
    reader: PredictionReader | None = None
    counts: tuple[int, int] = (0, 0)
    told: tuple[int, int] = (0, 0)


@dataclass
class _Run:
    """What is under way for one caller, whose thread tells progress and asks whether to stop."""

    options: PredictOptions
    sent: deque[_Sent] = field(default_factory=deque)
    changed: Event = field(default_factory=Event)
    done: int = 0  # tiles of planes that were given back
    told: tuple[int, int] = (0, 0)

    def poll(self) -> None:
        """Tell news, and cancel what nobody wants any more."""
        for sent in self.sent:
            if sent.wanted is not None and _is_over(self.options, sent.wanted):
                sent.future.cancel()
        for sent in self.sent:
            if sent.wanted is not None and sent.wanted.progress is not None and sent.counts != sent.told:
                sent.told = sent.counts
                sent.wanted.progress(*sent.counts)
        self._tell_all()

    def finished(self, sent: _Sent, tiles: int) -> None:
        """Count a plane that was taken out of the line."""
        self.done += tiles
        if sent.wanted is not None and sent.wanted.progress is not None and sent.told != (tiles, tiles) and tiles:
            sent.wanted.progress(tiles, tiles)
        self._tell_all()

    def cancel(self) -> None:
        """End the requests that are still under way."""
        for sent in self.sent:
            sent.future.cancel()

    def _tell_all(self) -> None:
        """Tell the progress of all planes so far, where it has changed."""
        counts = self.done + sum(sent.counts[0] for sent in self.sent), self.done + sum(s.counts[1] for s in self.sent)
        if self.options.progress is not None and counts != self.told:
            self.told = counts
            self.options.progress(*counts)


class RemoteLender:
    """Lends the models of a server.

    Parameters
    ----------
    connection
        To the server.
    parallel
        How many planes of a caller are with it at once.
    """

    def __init__(self, connection: Connection, parallel: int) -> None:
        self._connection = connection
        self._parallel = parallel
        self._used: dict[str, RemoteModel] = {}

    @property
    def workers(self) -> int:
        """The server shares out its devices itself."""
        return 1

    @contextmanager
    def borrow(self, package: ModelPackage, worker: int = 0) -> Iterator[RemoteModel]:
        """Lend a model until the block ends.

        Raises
        ------
        ConnectionClosed
            After the connection was closed.
        """
        self._connection.check_open()
        running_model = RemoteModel(package, self._connection, self._parallel)
        yield running_model
        self._used[package.name] = running_model

    def last_used(self, package: ModelPackage) -> RemoteModel | None:
        """Return a model as it was when it was last given back; None if it never was."""
        return self._used.get(package.name)

    def unload(self, package: ModelPackage | None = None) -> None:
        """Do nothing: the server decides what it keeps in memory."""


def _is_over(options: PredictOptions, wanted: PredictRequest) -> bool:
    """Whether nobody wants a plane any more."""
    return any(cancel is not None and cancel() for cancel in (options.cancel, wanted.cancel))


def _request_for(image: Image, options: PredictOptions) -> PredictRequest:
    return PredictRequest(image, options.diameter, options.augment)


def _failed(error: Exception) -> "Future[bytes]":
    future: Future[bytes] = Future()
    future.set_exception(error)
    return future


def _cancelled(name: str) -> Cancelled:
    return Cancelled(f"{name}: the segmentation was cancelled.")
