"""A run as a file: everything that must be the same for the same image to give the same labels.

Not to be confused with the recipe of a training, which makes a model.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)

import napari_unetseg
from napari_unetseg.callbacks import CancelFlag
from napari_unetseg.config import Settings, load_settings
from napari_unetseg.config.settings import UnetSettings
from napari_unetseg.errors import ModelError, UnetsegError
from napari_unetseg.inference.backends import device_kind
from napari_unetseg.language import Sentence
from napari_unetseg.postprocessing.fixes import Fix
from napari_unetseg.postprocessing.parameters import DecodeParameters, ExactModel
from napari_unetseg.segment_options import ImageOptions
from napari_unetseg.service.packages import find_configured
from napari_unetseg.service.provenance import Provenance, card_fingerprint, recorded_as
from napari_unetseg.service.reports import ModelInfo
from napari_unetseg.service.segmentation import Segmentation
from napari_unetseg.service.service import SegmentationService
from napari_unetseg.zoo.registry import ModelPackage, find_model


class RunRecipeError(UnetsegError):
    """A run cannot be repeated here."""


class _Section(ExactModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class RecipeModel(_Section):
    """Which model: where it was found, and the SHA-256 of its weights and of what its card says about numbers."""

    name: str
    source: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    card_sha256: str = Field(pattern="^[0-9a-f]{64}$")


class RecipeServer(_Section):
    """Which server ran the network, and the version of its napari-unetseg."""

    model_config = ConfigDict(extra="ignore")

    address: str
    version: str


def _kind(device: Any) -> Any:
    return device_kind(device) if isinstance(device, str) else device


class RecipeRun(_Section):
    """How the network ran: what `Provenance` says under the same names."""

    # Which of several cards it was makes no difference, and elsewhere there are others.
    device: Annotated[Literal["cpu", "cuda", "mps"], BeforeValidator(_kind)]
    precision: str
    backend: str
    largest_window: int | None
    batch_size: int = Field(ge=1)
    server: RecipeServer | None = None

    @property
    def wanted_precision(self) -> str:
        """What to ask for to get this precision: TF32 is how a GPU computes float32."""
        return "float32" if self.precision == "tf32" else self.precision


class RecipeSource(_Section):
    """Of which image the result is, for people and programs that look for it.

    Attributes
    ----------
    plane
        Position along each axis of the layer that what was segmented does not span, by axis.
    region
        First and last row and column, the last excluded, of the part of the plane; None for all of it.
    channel_names
        What all channels of the layer were called, where some were chosen by name; else empty.
    channel_layers
        Names of the layers that held one each; empty where one layer held all.
    channel_axis
        The axis of the layer along which they lay; None where it had none, or nothing was chosen by name.
    """

    image: str
    path: str | None = None
    axes: str = "YX"
    rgb: bool = False
    shape: tuple[int, int] | None = None
    plane: dict[int, int] = Field(default_factory=dict)
    region: tuple[tuple[int, int], tuple[int, int]] | None = None
    started: str = ""
    channel_names: tuple[str, ...] = ()
    channel_layers: tuple[str, ...] = ()
    channel_axis: int | None = None

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what earlier versions did not know where it says nothing, so that they can read it."""
        values: dict[str, Any] = handler(self)
        nothing: tuple[Any, ...] = (None, (), [])
        return {key: value for key, value in values.items() if value not in nothing or not key.startswith("channel_")}


class _Circumstances(_Section):
    """What made a result. A base of its own, so that in a file it stands before the options."""

    format: Literal[1] = 1
    napari_unetseg: str
    model: RecipeModel
    run: RecipeRun


class RunRecipe(ImageOptions, _Circumstances):
    """All that decides the labels of an image, with the options of the image under their own names.

    Attributes
    ----------
    napari_unetseg
        Version that made the result.
    parameters
        Every decoder parameter.
    source
        Of which image it is; not used when the recipe is.
    fixes
        What was fixed by clicks since, in that order. They are for this image: `Segmentation.fixed` does them again.
    """

    parameters: DecodeParameters
    source: RecipeSource
    fixes: tuple[Fix, ...] = ()

    @classmethod
    def of(cls, record: "Mapping[str, Any] | Provenance") -> Self:
        """Make the recipe of a result.

        Parameters
        ----------
        record
            Its provenance, or the plain values that result layers and label files carry.

        Raises
        ------
        RunRecipeError
            If it does not say enough: an earlier version wrote it.
        """
        values = record.as_dict() if isinstance(record, Provenance) else record
        try:
            return cls(
                napari_unetseg=values["versions"]["napari-unetseg"],
                model=RecipeModel(
                    name=values["model"],
                    source=values["model_source"],
                    sha256=values["sha256"],
                    card_sha256=values["card_sha256"],
                ),
                run=RecipeRun.model_validate({k: v for k, v in values.items() if k in RecipeRun.model_fields}),
                parameters=DecodeParameters.model_validate(values["parameters"]),
                source=RecipeSource.model_validate({k: v for k, v in values.items() if k in RecipeSource.model_fields}),
                fixes=values.get("fixes", ()),
                **{name: values[recorded_as(name)] for name in ImageOptions.model_fields if name != "channels"},
                channels=values.get("channels"),  # which earlier versions did not know
            )
        except (KeyError, ValidationError) as error:
            raise RunRecipeError(
                Sentence(
                    "How this result was made is not fully recorded, so it cannot be made again. "
                    "Run the model anew with the settings you want."
                )
            ) from error

    def segment_options(self) -> dict[str, Any]:
        """Keyword arguments for `SegmentationService.segment`."""
        return self.image_options() | self.parameters.model_dump()

    def image_options(self) -> dict[str, Any]:
        """Those of them that are no decoder parameters."""
        return self.model_dump(include=set(ImageOptions.model_fields))

    def service(self, base: Settings | None = None) -> SegmentationService:
        """Make a service of this machine that runs as this recipe says; the caller closes it.

        `napari_unetseg.client.repeating_service` does so for a recipe of a server, too.

        Parameters
        ----------
        base
            Settings for all that does not decide the labels. None: those of this machine.

        Raises
        ------
        RunRecipeError
            If this machine's model is another one, or a server ran the network.
        UnetsegError
            If there is no such model or backend.
        """
        if self.run.server is not None:
            raise RunRecipeError(
                Sentence(
                    "The server {server} ran the network of this recipe. In a notebook, "
                    "napari_unetseg.client.repeating_service(recipe) uses it again; to run on this machine, take "
                    "'server' out of the recipe.",
                    server=self.run.server.address,
                )
            )
        settings = tiled_settings(self.run.largest_window, self.run.batch_size, base)
        model = self._find().source
        run = self.run
        service = SegmentationService(model, run.device, run.backend, precision=run.wanted_precision, settings=settings)
        self.check_model(service.package)
        return service

    def fixed(self, segmentation: Segmentation, *, cancel: CancelFlag | None = None) -> Segmentation:
        """Fix in a result what somebody fixed by clicks in the one that the recipe is of.

        Parameters
        ----------
        segmentation
            Of the same image.
        cancel
            Polled before each fix.

        Raises
        ------
        Cancelled
            If `cancel` returned True.
        RunRecipeError
            If this is another image.
        FixError
            If there is nothing to fix where somebody clicked, as on another image.
        """
        if not self.fixes:
            return segmentation
        here, there = segmentation.labels.shape, self._fixed_shape
        if there is not None and here != there:
            raise RunRecipeError(
                Sentence(
                    "{image}: what was fixed by clicks in {source} cannot be fixed here: that had {there} pixels, this "
                    "has {here}. Take 'fixes' out of the recipe to use the rest of it.",
                    image=segmentation.image.name,
                    source=self.source.image,
                    there=" x ".join(map(str, there)),
                    here=" x ".join(map(str, here)),
                )
            )
        return segmentation.fixed(self.fixes, cancel=cancel)

    @property
    def _fixed_shape(self) -> tuple[int, ...] | None:
        """Height and width of the labels that were fixed."""
        if self.source.region is not None:
            return tuple(stop - start for start, stop in self.source.region)
        return self.source.shape

    @property
    def remarks(self) -> tuple[str, ...]:
        """What users should know before it is used."""
        here = napari_unetseg.__version__
        if release(self.napari_unetseg) <= release(here):
            return ()
        return (
            Sentence(
                "This was made by napari-unetseg {version}, which is newer than this one ({here}): labels may differ. "
                "Update to be sure: pip install -U napari-unetseg.",
                version=self.napari_unetseg,
                here=here,
            ),
        )

    def differences(self, loaded: ModelInfo) -> tuple[str, ...]:
        """Say what a loaded model cannot do as the recipe wants it, and so may change labels."""
        wanted = {name: getattr(self.run, name) for name in ("device", "precision", "backend")}
        given = {name: getattr(loaded, name) for name in wanted} | {"device": _kind(loaded.device)}
        differing = [name for name in wanted if given[name] != wanted[name]]
        if not differing:
            return ()
        here, there = (", ".join(str(values[name]) for name in differing) for values in (given, wanted))
        return (
            Sentence(
                "Labels may differ a little from those of the recipe: the model runs on {here}, not on {there}.",
                here=here,
                there=there,
            ),
        )

    def _find(self) -> ModelPackage:
        try:
            return find_configured(self.model.source, UnetSettings())
        except ModelError:
            if self.model.name == self.model.source:
                raise
        return find_model(self.model.name)

    def check_model(self, package: ModelPackage) -> None:
        """Refuse another model than the one that made the result.

        Raises
        ------
        RunRecipeError
            If its weights or its card differ.
        """
        card = package.card
        if card.weights.sha256 != self.model.sha256:
            raise RunRecipeError(
                Sentence(
                    "{path}: the model {name!r} is not the one that made the result (its weights are {here}, those "
                    "were {there}). Install that model, or run with this one as any image.",
                    path=package.path,
                    name=self.model.name,
                    here=card.weights.sha256[:8],
                    there=self.model.sha256[:8],
                )
            )
        if card_fingerprint(card) != self.model.card_sha256:
            raise RunRecipeError(
                Sentence(
                    "{path}: the card of the model {name!r} was changed since the result was made, and treats images "
                    "in another way. Restore its model.yaml, or run with it as any image.",
                    path=package.path,
                    name=self.model.name,
                )
            )


def tiled_settings(window: int | None, batch_size: int | None, base: Settings | None = None) -> Settings:
    """Return settings under which the network sees so much at once, whatever was set or measured here.

    Parameters
    ----------
    window
        Largest side of a tile in pixels, halo included; None leaves it as it is.
    batch_size
        Tiles at once; None leaves it as it is.
    base
        Settings for the rest. None: those of this machine.
    """
    base = base or load_settings().settings
    given = {name: value for name, value in (("window", window), ("batch_size", batch_size)) if value is not None}
    inference = base.unet.inference.model_copy(update=given)
    return base.model_copy(update={"unet": base.unet.model_copy(update={"inference": inference})})


def release(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()
