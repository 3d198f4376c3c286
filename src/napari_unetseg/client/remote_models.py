"""The models of a server, found by their names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from napari_unetseg.api.models import ModelInfoResponse, ModelsResponse
from napari_unetseg.client.connection import Connection, not_understood
from napari_unetseg.errors import ModelError
from napari_unetseg.language import Sentence
from napari_unetseg.service.arguments import check_model
from napari_unetseg.zoo.card import CARD_FILE, ModelCard, read_card
from napari_unetseg.zoo.registry import ModelPackage


@dataclass(frozen=True)
class ServerModel(ModelPackage):
    """A model on a server; its `path` is its name.

    Attributes
    ----------
    remark
        What a user should know of it; empty if nothing.
    """

    remark: str = ""


def server_models(connection: Connection) -> tuple[list[ServerModel], str]:
    """Ask a server for its models, its own first.

    Returns
    -------
    models
        Those that requests may name.
    version
        That of the server.

    Raises
    ------
    ServerError
        If it does not say.
    """
    try:
        answer = ModelsResponse.model_validate_json(connection.get("/models"))
        listed = sorted(answer.models, key=lambda model: not model.is_default)
        return [server_model(model.card) for model in listed], answer.version
    except ValidationError as error:
        raise not_understood(connection.address, error) from error


def server_model(card: dict[str, Any]) -> ServerModel:
    """Return the model that a server shows the card of.

    Raises
    ------
    ValidationError
        If it is no card.
    """
    read = ModelCard.model_validate(card)
    return ServerModel(Path(read.name), read, "server")


class RemoteModels:
    """Finds models of a server and remembers them; any thread may call any method.

    Parameters
    ----------
    connection
        To the server.
    model
        The one that is meant where none is named; None: the server's own.

    Attributes
    ----------
    own
        That model.
    version
        That of the server.

    Raises
    ------
    ServerError
        If the server does not answer.
    ModelError
        If it has no such model.
    """

    def __init__(self, connection: Connection, model: str | Path | None) -> None:
        self._connection = connection
        self._own_name = model
        self.refresh()

    def refresh(self) -> None:
        """Ask the server again which models it has."""
        listed, self.version = server_models(self._connection)
        self._listed = {model.name: model for model in listed}
        self._found: dict[str, ServerModel] = {}
        self.own: ModelPackage = self.find(self._own_name) if self._own_name is not None else self._complete(listed[0])

    def with_own(self, model: str | Path | None) -> Self:
        """Return the same models, with another one where none is named."""
        return type(self)(self._connection, model)

    def find(self, model: str | Path | None) -> ModelPackage:
        """Return a model by its name; the path of one on this machine stands for the name on its card.

        Raises
        ------
        ModelError
            If the server has no such model.
        """
        check_model(model)
        if model is None:
            return self.own
        if str(model) not in self._found:
            self._found[str(model)] = self._find(model)
        return self._found[str(model)]

    def usable(self) -> list[ModelPackage]:
        """Return all models of the server."""
        return [self.find(name) for name in self._listed]

    def _find(self, model: str | Path) -> ServerModel:
        if str(model) in self._listed:
            return self._complete(self._listed[str(model)])
        here = _card_at(Path(model))
        if here is None or here.name not in self._listed:
            raise ModelError(
                Sentence(
                    "{server}: the server does not have the model {model!r}. It has: {models}. Choose one of these, or "
                    "have the model put there.",
                    server=self._connection.address,
                    model=str(model) if here is None else here.name,
                    models=", ".join(self._listed),
                )
            )
        there = self._complete(self._listed[here.name])
        if there.card.weights.sha256 == here.weights.sha256:
            return there
        remark = Sentence(
            "The model {model} of the server {server} has other weights than that of this machine; the server's was "
            "used.",
            model=here.name,
            server=self._connection.address,
        )
        return ServerModel(there.path, there.card, "server", remark=remark)

    def _complete(self, model: ServerModel) -> ServerModel:
        """Return a model with its whole card: of a checkpoint that it has not opened, a server lists a part."""
        if model.card.weights.sha256:
            return model
        try:
            answer = self._connection.get("/model-info", model=model.name)
            return server_model(ModelInfoResponse.model_validate_json(answer).details["card"])
        except (KeyError, ValidationError) as error:
            raise not_understood(self._connection.address, error) from error


def _card_at(path: Path) -> ModelCard | None:
    """Return the card of a model on this machine; None where there is none. Checkpoints stay shut: they need torch."""
    path = path.expanduser()
    folder = path if path.is_dir() else path.parent
    is_model = path.name == CARD_FILE or path.is_dir() or (path.is_file() and (folder / CARD_FILE).is_file())
    return read_card(folder / CARD_FILE) if is_model and (folder / CARD_FILE).is_file() else None
