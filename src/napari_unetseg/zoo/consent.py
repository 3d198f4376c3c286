"""Which networks of other programs their user allowed to run on this computer, once and for all. Imports no torch.

They are remembered by the SHA-256 of their file, so that neither a card nor a folder from elsewhere can allow itself,
and an exchanged file is asked for anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_unetseg.errors import ModelError, UnetsegError
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.language import Sentence
from napari_unetseg.networks.foreign_arguments import is_foreign
from napari_unetseg.zoo import registry
from napari_unetseg.zoo.card import NETWORK_TITLES, ModelCard

_FILE = "allowed_networks.txt"


class NetworkNotAllowed(ModelError):
    """A network that another program wrote was not allowed to run on this computer."""


def is_allowed(sha256: str) -> bool:
    """Whether the network in a file of this SHA-256 was allowed to run on this computer.

    Raises
    ------
    UnetsegError
        If the list cannot be read.
    """
    return sha256 in _allowed()


def needs_consent(card: ModelCard) -> bool:
    """Whether another program wrote the network of a card, and nobody allowed it yet."""
    return is_foreign(card.architecture.name) and not is_allowed(card.weights.sha256)


def allow_network(card: ModelCard) -> None:
    """Remember that the network of a card may run on this computer.

    Raises
    ------
    UnetsegError
        If the list cannot be read or written.
    """
    allowed = _allowed()
    if card.weights.sha256 in allowed:
        return
    _write({**allowed, card.weights.sha256: card.name})


@contextmanager
def forgotten_on_failure(card: ModelCard) -> Iterator[None]:
    """Take back what the block allowed if it fails or is cancelled; what was allowed before it stays so.

    Raises
    ------
    UnetsegError
        If the list cannot be read or written.
    """
    is_new = needs_consent(card)
    try:
        yield
    except BaseException:
        allowed = _allowed() if is_new else {}
        if allowed.pop(card.weights.sha256, None) is not None:
            _write(allowed)
        raise


def require_consent(card: ModelCard, file: Path) -> None:
    """Refuse a network that was not allowed.

    Raises
    ------
    NetworkNotAllowed
        The message says how to allow it.
    """
    if not is_allowed(card.weights.sha256):
        raise NetworkNotAllowed(
            Sentence(
                "{file}: this model's network comes from another program ({kind}), and was not allowed to run on this "
                "computer. If you trust whoever made it, add it to your models: "
                'napari-unetseg convert "{folder}" -o FOLDER --allow-foreign-network',
                file=file,
                kind=NETWORK_TITLES[card.architecture.name],
                folder=file.parent,
            )
        )


def _path() -> Path:
    return registry.user_model_folder().parent / _FILE


def _write(allowed: dict[str, str]) -> None:
    with whole_file(_path()) as path:
        path.write_text("".join(f"{sha256} {name}\n" for sha256, name in allowed.items()), encoding="utf-8")


def _allowed() -> dict[str, str]:
    """Return the name under which each SHA-256 was allowed."""
    path = _path()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UnetsegError(
            Sentence("{file}: the list of allowed networks cannot be read ({reason}).", file=path, reason=error)
        ) from error
    return dict(line.partition(" ")[::2] for line in lines if line.strip())
