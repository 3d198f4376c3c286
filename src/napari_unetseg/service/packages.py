"""Which models a service means: found as the settings say, and once each."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from napari_unetseg.config import Settings
from napari_unetseg.config.settings import ModelSettings, UnetSettings
from napari_unetseg.errors import ModelError
from napari_unetseg.language import Sentence
from napari_unetseg.service.arguments import check_model
from napari_unetseg.zoo.bioimageio.package import is_bioimageio
from napari_unetseg.zoo.card import CARD_FILE, ModelCard, explain_card_error
from napari_unetseg.zoo.discovery import SUFFIXES, find_checkpoint, find_variant
from napari_unetseg.zoo.published import published_with
from napari_unetseg.zoo.registry import DEFAULT_MODEL, ModelPackage, find_model, usable_models

_VARIANTS_OF = "attention_unet_"


def find_configured(model: str | Path | None, settings: UnetSettings) -> ModelPackage:
    """Return the model to use.

    Parameters
    ----------
    model
        What was asked for: see `find_model`. None: the model that the settings name, else the checkpoint
        in their `checkpoint_dir`, else the default one.
    settings
        Where the model is a checkpoint in `checkpoint_dir`, its card takes `preprocessing`, `threshold`
        and `postprocessing` from here, and it must be the `model_variant` that is set.

    Raises
    ------
    ModelError
        If there is no such model, or what is set does not fit it; the message names the file.
    ParameterError
        If it is neither a name nor a path.
    """
    check_model(model)
    folder = settings.model.checkpoint_dir
    chosen = settings.model.name if model is None else model
    if chosen is None:
        chosen = DEFAULT_MODEL if folder is None else _source_in(folder, settings.model.model_variant)
    if _is_path_of_package(chosen):
        from napari_unetseg.service.package_check import answer_of
        from napari_unetseg.zoo.bioimageio.package_cache import cached_package

        return cached_package(Path(chosen).expanduser(), answer_of)
    package = find_model(chosen)
    if folder is None or not package.is_checkpoint or not package.weights.resolve().is_relative_to(folder.resolve()):
        return package
    _check_variant(package, settings.model)
    return replace(package, card=_changed(package, settings.card_changes()))


def _is_path_of_package(chosen: str | Path) -> bool:
    """Tell whether a model is asked for by the path of a package of the BioImage Model Zoo."""
    path = Path(chosen).expanduser()
    return path.exists() and is_bioimageio(path)


def _source_in(folder: Path, variant: str | None) -> Path:
    if (folder / CARD_FILE).exists():
        return folder
    if folder.is_dir():
        found = find_checkpoint(folder) if variant is None else find_variant(folder, variant)
        if found is not None:
            return found
    kind = "" if variant is None else Sentence(" of the variant {variant!r}", variant=variant)
    raise ModelError(
        Sentence(
            "{folder}: no valid model checkpoint{kind} found. Put one ({endings}) there, or correct "
            "unet.model.checkpoint_dir; 'napari-unetseg config' says where it is set.",
            folder=folder,
            kind=kind,
            endings=", ".join(SUFFIXES),
        )
    )


def _check_variant(package: ModelPackage, settings: ModelSettings) -> None:
    published = published_with(package.card.architecture)
    if settings.model_variant is None or published is None or not published.name.startswith(_VARIANTS_OF):
        return
    found = published.name.removeprefix(_VARIANTS_OF)
    if found != settings.model_variant:
        raise ModelError(
            Sentence(
                "{path}: this checkpoint is the variant {found!r}, but unet.model.model_variant is "
                "{wanted!r}. Correct one of them.",
                path=package.weights,
                found=found,
                wanted=settings.model_variant,
            )
        )


def _changed(package: ModelPackage, changes: dict[str, Any]) -> ModelCard:
    fields = package.card.model_dump() | changes
    fields["parameters"] = package.card.parameters.model_dump() | changes.get("parameters", {})
    try:
        return ModelCard.model_validate(fields)
    except ValidationError as error:
        raise ModelError(
            Sentence(
                "{path}: what is set under unet.preprocessing does not fit this checkpoint: {faults}. "
                "'napari-unetseg config' says where it is set.",
                path=package.weights,
                faults=explain_card_error(error),
            )
        ) from error


class ModelFinder:
    """Finds models and remembers them; any thread may call any method.

    Parameters
    ----------
    model
        The one that is meant where none is named; see `find_configured`.
    settings
        Those of the service.

    Attributes
    ----------
    own
        The package of that model.

    Raises
    ------
    ModelError
        If there is no such model.
    """

    def __init__(self, model: str | Path | None, settings: Settings) -> None:
        self._settings = settings.unet
        self.own = find_configured(model, self._settings)
        self._others: dict[str, ModelPackage] = {}

    def find(self, model: str | Path | None) -> ModelPackage:
        """Return a model by name or path.

        Raises
        ------
        ModelError
            If there is no such model.
        """
        if model is None:
            return self.own
        if str(model) not in self._others:
            self._others[str(model)] = find_configured(model, self._settings)
        return self._others[str(model)]

    def usable(self) -> list[ModelPackage]:
        """Return the models of this machine that can be used by name."""
        return usable_models()

    def read_again(self, package: ModelPackage) -> ModelPackage:
        """Return a package as it is on disk now.

        Raises
        ------
        ModelError
            If it is not there any more.
        """
        return find_configured(package.source, self._settings)

    def replace(self, package: ModelPackage) -> None:
        """Mean this package, from now on, by every name of the one at its place."""
        if self.own.source == package.source:
            self.own = package
        for name, known in list(self._others.items()):
            if known.source == package.source:
                self._others[name] = package
