"""Which runtime was asked for. Imports no torch."""

from napari_unetseg.errors import ParameterError
from napari_unetseg.inference.backends import BACKENDS
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.card import ModelCard

DEFAULT_BACKEND = "torch"


def choose_backend(argument: str | None, setting: str | None, card: ModelCard) -> str:
    """Return the runtime for a model: the first that is named of argument, setting and card, else torch.

    Parameters
    ----------
    argument
        What the caller asked for, such as ``--backend``.
    setting
        What the settings say (``unet.model.backend``).
    card
        Card of the model; its author knows which runtime suits it.

    Raises
    ------
    ParameterError
        If there is no such runtime.
    """
    chosen = argument or setting or card.backend or DEFAULT_BACKEND
    if chosen not in BACKENDS:
        raise ParameterError(
            Sentence(
                "There is no backend {backend!r}. Choose one of {backends}.",
                backend=chosen,
                backends=", ".join(BACKENDS),
            )
        )
    return chosen
