"""From a package of the BioImage Model Zoo to a model on disk, checked on the package's own test image."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from napari_unetseg.errors import ModelError, UnetsegError
from napari_unetseg.language import Sentence, error_sentence
from napari_unetseg.zoo.bioimageio.checking import Answer, Comparison
from napari_unetseg.zoo.bioimageio.importing import Proposal, check_model, propose, write_proposal
from napari_unetseg.zoo.bioimageio.package import open_package
from napari_unetseg.zoo.card import CARD_FILE, NETWORK_TITLES, as_name
from napari_unetseg.zoo.consent import forgotten_on_failure, needs_consent
from napari_unetseg.zoo.registry import ModelPackage, read_package


@dataclass(frozen=True)
class ConvertedPackage:
    """What became of a package: the model, what was proposed, and how it answers to the test image."""

    model: ModelPackage
    proposal: Proposal
    comparison: Comparison | None


def convert_bioimageio(
    path: Path,
    folder: Path,
    changes: Mapping[str, Any] | None = None,
    *,
    consent: bool = False,
    outputs: str | Sequence[str] | None = None,
    answer: Answer | None = None,
    take_anyway: bool = False,
) -> ConvertedPackage:
    """Write a model package from one of the BioImage Model Zoo; it is there whole, or not at all.

    Parameters
    ----------
    path
        A zip, a folder, or the description in one.
    folder
        Where; made if needed. Its name is that of the model, unless `changes` has another.
    changes
        Fields of the `ModelCard` that a user chose.
    consent
        Whether a network that the package brings along, as ONNX or TorchScript, may be run on this machine.
    outputs
        What the channels of its output mean, where the package does not say it.
    answer
        Runs a model on an image. None: the model is not checked on the test image.
    take_anyway
        Whether a model is kept that answers otherwise than the package says.

    Raises
    ------
    ModelError
        If the package cannot be used, consent or the meaning of its output is missing, its answer differs, or the
        folder holds a model already; the message names the file. Nothing is written then.
    UnetsegError
        If the folder cannot be written.
    """
    if (folder / CARD_FILE).exists():
        raise ModelError(
            Sentence(
                "{folder}: there is a model already. Choose another folder, or delete this one first.", folder=folder
            )
        )
    changes = dict(changes or {})
    outputs = changes.pop("outputs", outputs)
    with open_package(path) as package:
        proposal = propose(package, outputs)
        _refuse_unasked(proposal, consent=consent)
        named = {} if proposal.is_own else {"name": _name(folder)}
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with (
                forgotten_on_failure(proposal.cards[0]),
                TemporaryDirectory(prefix=".converting-", dir=folder.parent) as temporary,
            ):
                try:
                    model = write_proposal(package, proposal, Path(temporary) / folder.name, named | changes)
                    comparison = check_model(proposal, model, answer) if answer else None
                except ModelError as error:
                    raise _unusable(path, Path(temporary), error) from error
                if comparison is not None and not comparison.agrees and not take_anyway:
                    raise _differs(path, comparison)
                _move(model.path, folder)
        except OSError as error:
            raise UnetsegError(
                Sentence(
                    "{folder}: cannot be written ({reason}). Make room on the disk, or allow writing there.",
                    folder=folder,
                    reason=error.strerror or error,
                )
            ) from error
    return ConvertedPackage(read_package(folder, "path"), proposal, comparison)


def _refuse_unasked(proposal: Proposal, *, consent: bool) -> None:
    if needs_consent(proposal.cards[0]) and not consent:
        raise ModelError(
            Sentence(
                "{path}: it brings its own network, as {kind}, which is a program made by somebody else. Only run it "
                "if you trust {authors}. Then add it with --allow-foreign-network, or in the window by ticking that "
                "you trust it.",
                path=proposal.path,
                kind=NETWORK_TITLES[proposal.cards[0].architecture.name],
                authors=", ".join(proposal.description.authors) or Sentence("who made it"),
            )
        )
    if proposal.names.asks:
        raise ModelError(
            Sentence(
                "{path}: it does not say what the {count} channels of its output mean ({channels}). Say it in order, "
                "such as --outputs {guess}.",
                path=proposal.path,
                count=len(proposal.names.meanings),
                channels=", ".join(proposal.names.channels),
                guess=",".join(proposal.names.meanings),
            )
        )


def _name(folder: Path) -> str:
    return as_name(folder.absolute().name)


def _unusable(path: Path, temporary: Path, error: ModelError) -> ModelError:
    """Name the package rather than a file that nobody will ever see."""
    return ModelError(
        Sentence(
            "{path}: this package cannot be used. {reason}",
            path=path,
            reason=str(error_sentence(error)).replace(f"{temporary}{os.sep}", ""),
        )
    )


def _differs(path: Path, comparison: Comparison) -> ModelError:
    return ModelError(
        Sentence(
            "{path}: the model was not added, as it does not answer as the package says. {difference} Report this to "
            "who made the package.",
            path=path,
            difference=comparison.sentence,
        )
    )


def _move(source: Path, folder: Path) -> None:
    """Put a whole model where it belongs; files that lie there already stay."""
    if not folder.exists() or not any(folder.iterdir()):
        if folder.exists():
            folder.rmdir()
        source.rename(folder)
        return
    names = [file.name for file in source.iterdir()]
    taken = next((folder / name for name in names if (folder / name).exists()), None)
    if taken is not None:
        raise ModelError(
            Sentence("{path}: this file would be replaced. Choose another folder, or move it.", path=taken)
        )
    for name in names:
        shutil.move(source / name, folder / name)
