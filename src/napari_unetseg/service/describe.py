"""A model in words and figures: from its card, and from what is loaded of it."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from napari_unetseg.io.suffixes import PICTURE_SUFFIXES
from napari_unetseg.networks.facts import network_facts
from napari_unetseg.networks.foreign_arguments import is_foreign
from napari_unetseg.service.reports import ModelIdentity, ModelInfo
from napari_unetseg.zoo.card import Architecture, ModelCard
from napari_unetseg.zoo.published import published_with
from napari_unetseg.zoo.registry import ModelPackage

if TYPE_CHECKING:
    from napari_unetseg.service.loaded_model import LoadedModel

_VARIANTS = ("lightweight", "standard", "deep")
_PICTURES = (suffix[1:].upper() for suffix in PICTURE_SUFFIXES if suffix != ".jpg")

SUPPORTED_FORMATS = ("TIFF", *_PICTURES, "NPY")
"""Kinds of image files that `napari_unetseg.io` reads."""


def identify(package: ModelPackage, loaded: "LoadedModel | None") -> ModelIdentity:
    """Name a model and the device it is on."""
    return ModelIdentity(package.card.name, _variant(package.card.architecture), loaded.device.name if loaded else None)


def describe(package: ModelPackage, loaded: "LoadedModel | None") -> ModelInfo:
    """Say all that is known of a model; what only a loaded one can tell is None otherwise."""
    card, identity = package.card, identify(package, loaded)
    sides = card.image_size or (None, None)
    return ModelInfo(
        model_name=identity.model_name,
        model_variant=identity.model_variant,
        checkpoint_path=str(package.weights),
        model_parameters=_parameters(package, loaded),
        live_parameters=loaded.parameters_count if loaded else None,
        input_shape=(1, card.input_channels, *sides),
        output_shape=(1, len(card.outputs), *sides),
        device=identity.device,
        architecture_details=_architecture(card.architecture),
        preprocessing_config=_preprocessing(card),
        supported_formats=SUPPORTED_FORMATS,
        weights_sha256=card.weights.sha256,
        display_name=card.display_name,
        description=card.description,
        origin=package.origin,
        loaded=loaded is not None,
        device_reason=loaded.device.reason if loaded else None,
        precision=loaded.backend.precision if loaded else None,
        backend=loaded.plan.backend if loaded else None,
        backend_reason=loaded.plan.reason if loaded else None,
        compilation=(loaded.backend.compilation or None) if loaded else None,
        card=card.model_dump(mode="json"),
    )


def _variant(architecture: Architecture) -> str:
    published = published_with(architecture)
    size = published.name.rpartition("_")[2] if published else ""
    return size if size in _VARIANTS else "standard"


def _parameters(package: ModelPackage, loaded: "LoadedModel | None") -> int | None:
    """Count what the file holds: checkpoints of a published network have what it was published with."""
    if loaded is None:
        return None
    published = published_with(package.card.architecture) if package.is_checkpoint else None
    return published.parameters if published else loaded.parameters_count


def _architecture(architecture: Architecture) -> dict[str, Any]:
    if is_foreign(architecture.name):
        # Nothing is known of its layers, and no default stands for what a card leaves out.
        facts = network_facts(architecture.name, architecture.arguments)
        unknown = {"base_channels": None, "depth": None, "use_attention": False}
        return dict(architecture.arguments) | {"model_type": facts.type_name, **unknown}
    kind = network_facts(architecture.name, {})
    details: dict[str, Any] = {
        "model_type": kind.type_name,
        "base_channels": None,
        "depth": None,
        "use_attention": kind.uses_attention,
    }
    with suppress(ValueError):  # a card that no network can be built from is refused where it is loaded
        facts = network_facts(architecture.name, architecture.arguments)
        details |= {"base_channels": facts.base_channels, "depth": facts.depth}
    return dict(architecture.arguments) | details


def _preprocessing(card: ModelCard) -> dict[str, Any]:
    common = {"image_size": card.image_size, "normalize": True, "mean": None, "std": None}
    return common | card.normalisation.model_dump()
