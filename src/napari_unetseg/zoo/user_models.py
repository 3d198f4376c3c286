"""Models that users bring: examined first, then added to the user's own models.

A checkpoint, a model package of ours, or a package of the BioImage Model Zoo.
"""

import shutil
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.errors import Cancelled, ModelError, UnetsegError
from napari_unetseg.language import Sentence
from napari_unetseg.networks.foreign_arguments import is_foreign
from napari_unetseg.zoo.bioimageio.checking import Answer
from napari_unetseg.zoo.bioimageio.importing import Proposal, parameters_of, propose
from napari_unetseg.zoo.bioimageio.package import is_bioimageio, open_package
from napari_unetseg.zoo.bioimageio.package_conversion import convert_bioimageio
from napari_unetseg.zoo.bioimageio.weights import KnownNetwork
from napari_unetseg.zoo.card import CARD_FILE, KNOWN_ANSWER_FILE, ModelCard, write_card
from napari_unetseg.zoo.consent import allow_network, forgotten_on_failure, needs_consent, require_consent
from napari_unetseg.zoo.conversion import convert_checkpoint
from napari_unetseg.zoo.import_checkpoint import describe_matches
from napari_unetseg.zoo.network_loading import foreign_network, load_network, read_weights
from napari_unetseg.zoo.registry import ModelPackage, list_models, read_package, taken_names, user_model_folder

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Candidate:
    """A file or folder that can become one of the user's models.

    Attributes
    ----------
    source
        The checkpoint, or the folder of a model package.
    cards
        What it is; several where its weights fit several networks.
    parameters
        Trainable numbers of the network, for each card.
    dropped
        Names of weights that no output depends on.
    extras
        What else is in the checkpoint (optimizer state, settings...).
    size
        Bytes of the file that holds the weights.
    proposal
        What a package of the BioImage Model Zoo would become; None for all else.
    """

    source: Path
    cards: tuple[ModelCard, ...]
    parameters: tuple[int, ...]
    dropped: tuple[str, ...]
    extras: tuple[str, ...]
    size: int
    proposal: Proposal | None = None

    @property
    def is_package(self) -> bool:
        """Whether it is a model package already, with a card of its own."""
        return self.proposal.is_own if self.proposal else self.source.is_dir()

    @property
    def needs_consent(self) -> bool:
        """Whether another program wrote its network, which has to be allowed to run here first."""
        return needs_consent(self.cards[0])


def examine(path: Path) -> Candidate:
    """Say what a checkpoint or a model package is; nothing is kept or written, and nothing in it is run.

    Parameters
    ----------
    path
        A checkpoint (see `read_checkpoint`), the folder of a model package, or a file of one; or a package of the
        BioImage Model Zoo: a zip, a folder, or the description in one.

    Raises
    ------
    ModelError
        If it cannot be used; the message names the file and says why.
    """
    if is_bioimageio(path):
        return _examine_bioimageio(path)
    if path.is_dir() or (path.parent / CARD_FILE).exists():
        return _examine_package(path if path.is_dir() else path.parent)
    checkpoint, cards = describe_matches(path)
    return Candidate(
        source=path,
        cards=cards,
        parameters=tuple(map(parameters_of, cards)),
        dropped=checkpoint.dropped,
        extras=checkpoint.extras,
        size=path.stat().st_size,
    )


def add_model(
    candidate: Candidate,
    changes: Mapping[str, Any],
    cancel: CancelFlag | None = None,
    *,
    consent: bool = False,
    answer: Answer | None = None,
) -> Path:
    """Put a model among the user's own; it is there whole, or not at all.

    Parameters
    ----------
    candidate
        As `examine` returned it.
    changes
        Fields of the `ModelCard`, its `name` among them; the rest is as on the card that was chosen of
        the candidate's (`architecture` says which).
    cancel
        Polled between the steps.
    consent
        Whether a network that the file brings along may be run; see `convert_bioimageio`.
    answer
        Runs a model on the test image of a package of the BioImage Model Zoo. None: it is not checked.

    Returns
    -------
    Path
        The model's folder.

    Raises
    ------
    ModelError
        If the model cannot be used, or there is one of that name; the message names the file or the folder.
    UnetsegError
        If the folder cannot be written.
    Cancelled
        If `cancel` returned True.
    """
    name = str(changes["name"])
    folder = user_model_folder() / name
    if name in taken_names(list_models()) or (folder.exists() and any(folder.iterdir())):
        raise ModelError(
            Sentence(
                "{path}: there is a model {name!r} already. Choose another name.", path=candidate.source, name=name
            )
        )
    with _temporary_folder(folder) as temporary, forgotten_on_failure(candidate.cards[0]):
        if candidate.proposal is not None:
            convert_bioimageio(candidate.source, temporary, changes, consent=consent, answer=answer)
        elif candidate.is_package:
            copy_package(candidate.source, temporary, changes, consent=consent)
        else:
            convert_checkpoint(candidate.source, temporary, changes)
        if cancel is not None and cancel():
            raise Cancelled(Sentence("{file} was not added.", file=candidate.source.name))
        if folder.exists():
            folder.rmdir()
        temporary.rename(folder)
    return folder


def _examine_bioimageio(path: Path) -> Candidate:
    with open_package(path) as package:
        proposal = propose(package)
        weights = proposal.weights
        known = weights if isinstance(weights, KnownNetwork) else None
        return Candidate(
            source=path,
            cards=proposal.cards,
            parameters=tuple(map(parameters_of, proposal.cards)),
            dropped=known.dropped if known else (),
            extras=known.extras if known else (),
            size=weights.file.stat().st_size,
            proposal=proposal,
        )


def _examine_package(folder: Path) -> Candidate:
    package = read_package(folder, "path")
    if not is_foreign(package.card.architecture.name):
        # Compares the SHA-256 and the shapes of the weights.
        load_network(package)
    return Candidate(
        source=package.path,
        cards=(package.card,),
        parameters=(parameters_of(package.card),),
        dropped=(),
        extras=(),
        size=package.weights.stat().st_size,
    )


def copy_package(source: Path, folder: Path, changes: Mapping[str, Any], *, consent: bool = False) -> ModelPackage:
    """Copy a model package that can be loaded, under the names in `changes`; it is there whole, or not at all.

    Parameters
    ----------
    source, folder
        From where to where; made, unless it is there and empty.
    changes
        `name` and `display_name`, where they are to be others.
    consent
        Whether a network that another program wrote may run on this computer.

    Raises
    ------
    ModelError
        If it cannot be used, or its weights are not those that its card names; the message names the file.
    UnetsegError
        If the folder cannot be written, or has something in it.
    """
    package = read_package(source, "path")
    if is_foreign(package.card.architecture.name):
        if not consent:
            require_consent(package.card, package.weights)
        content = read_weights(package)
        foreign_network(package, content)
    else:
        load_network(package)
        content = read_weights(package)
    fields = package.card.model_dump() | {key: changes[key] for key in ("name", "display_name") if key in changes}
    with _temporary_folder(folder) as temporary, forgotten_on_failure(package.card):
        temporary.mkdir()
        (temporary / package.card.weights.file).write_bytes(content)
        if (answer := package.path / KNOWN_ANSWER_FILE).is_file():
            shutil.copyfile(answer, temporary / KNOWN_ANSWER_FILE)
        write_card(ModelCard.model_validate(fields), temporary / CARD_FILE)
        if consent and needs_consent(package.card):
            allow_network(package.card)
        if folder.exists():
            folder.rmdir()
        temporary.rename(folder)
    return read_package(folder, "path")


@contextmanager
def _temporary_folder(folder: Path) -> "Iterator[Path]":
    """Yield a folder of the same name in a hidden one that is removed afterwards; the registry does not list those."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".adding-", dir=folder.parent) as temporary:
            yield Path(temporary) / folder.name
    except OSError as error:
        raise UnetsegError(
            Sentence(
                "{folder}: cannot be written ({reason}). Make room on the disk, or allow writing there.",
                folder=folder,
                reason=error.strerror or error,
            )
        ) from error
