"""Which models there are: bundled with the package, in the user's folder, at a path, or published without weights.

Nothing here imports torch, so a window can list models before torch is loaded. A name means one
model: a bundled name always means the bundled model, so that the same call gives the same result on
every machine. A user's package whose name is already taken is listed as broken, with the remedy, and
can still be used by its path.

A checkpoint stands for a model too: by its path, or in the user's folder of a published model. It is
opened, which needs torch, only by `find_model`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path

from napari_unetseg.errors import ModelError
from napari_unetseg.language import Sentence, error_sentence
from napari_unetseg.zoo.bioimageio.package import is_bioimageio
from napari_unetseg.zoo.card import CARD_FILE, ModelCard, WeightsFile, read_card
from napari_unetseg.zoo.discovery import SUFFIXES, find_checkpoint
from napari_unetseg.zoo.published import PUBLISHED, PublishedModel

DEFAULT_MODEL = "nuclei"

Origin = Literal["bundled", "user", "path", "server"]


@dataclass(frozen=True)
class ModelPackage:
    """A folder with a card and weights, or a checkpoint.

    Attributes
    ----------
    path
        The folder.
    card
        What `model.yaml` in it says, or what a checkpoint was found to be.
    origin
        Where it was found: ``"bundled"``, ``"user"`` or ``"path"``.
    is_checkpoint
        Whether the weights are a checkpoint that was trained elsewhere. As it is listed, its card says
        what a published model is, and has no SHA-256 yet.
    given
        The package of the BioImage Model Zoo that was asked for, where the folder is what was made of it.
    """

    path: Path
    card: ModelCard
    origin: Origin
    is_checkpoint: bool = False
    given: Path | None = None

    @property
    def name(self) -> str:
        """The name by which users ask for it."""
        return self.card.name

    @property
    def weights(self) -> Path:
        """The file that holds the weights."""
        return self.path / self.card.weights.file

    @property
    def source(self) -> Path:
        """What a user asks for to find it again: the package it was made of, else the folder or the checkpoint."""
        return self.given or self.stored

    @property
    def stored(self) -> Path:
        """What `find_model` takes to find it again: the folder, or the checkpoint."""
        return self.weights if self.is_checkpoint else self.path


@dataclass(frozen=True)
class BrokenPackage:
    """A model folder that cannot be used, and a sentence that says why."""

    path: Path
    origin: Origin
    reason: str


@dataclass(frozen=True)
class WeightsNeeded:
    """A published model that becomes usable once its user gives a checkpoint.

    Attributes
    ----------
    model
        What it is.
    path
        The folder where its checkpoint is looked for; it need not exist.
    """

    model: PublishedModel
    path: Path

    @property
    def name(self) -> str:
        """The name by which users ask for it."""
        return self.model.name

    @property
    def reason(self) -> str:
        """A sentence that says what to do."""
        return Sentence(
            "{model}: weights needed. Put its checkpoint ({endings}) into {folder}, or convert it: "
            'napari-unetseg convert CHECKPOINT -o "{folder}"',
            model=self.model.display_name,
            endings=", ".join(SUFFIXES),
            folder=self.path,
        )


Listed = ModelPackage | BrokenPackage | WeightsNeeded


def bundled_model_folder() -> Path:
    """Return the folder of the models that come with the package."""
    return Path(str(files("napari_unetseg"))) / "models"


def user_model_folder() -> Path:
    """Return the folder in which users put models of their own; it need not exist."""
    return user_data_path("napari-unetseg", appauthor=False) / "models"


def list_models() -> list[Listed]:
    """Return every bundled and user model, bundled first, by folder name, then what needs weights.

    The default model is the first of all, for a list shows its first entry. Broken ones say why. Published
    models stand under the user's own once their folder has a checkpoint; no checkpoint is opened.
    """
    found: list[Listed] = []
    taken: dict[str, ModelPackage] = {}
    for folder, origin in _model_folders():
        try:
            package = _listed(folder, origin)
        except ModelError as error:
            found.append(BrokenPackage(folder, origin, error_sentence(error)))
            continue
        if package is None:
            continue
        if package.name in taken:
            found.append(BrokenPackage(folder, origin, _taken(package, taken[package.name])))
            continue
        taken[package.name] = package
        found.append(package)
    needing = (model for model in PUBLISHED.values() if model.name not in taken)
    return found + [WeightsNeeded(model, user_model_folder() / model.name) for model in needing]


def usable_models() -> list[ModelPackage]:
    """Return those of `list_models` that can be used."""
    return [model for model in list_models() if isinstance(model, ModelPackage)]


def taken_names(models: Iterable[Listed]) -> frozenset[str]:
    """Return the names that a new model of the user's cannot have."""
    folders = {model.path.name for model in models if isinstance(model, BrokenPackage) and model.origin == "user"}
    return frozenset(folders | {model.name for model in models if isinstance(model, ModelPackage)})


def find_model(name_or_path: str | Path) -> ModelPackage:
    """Return the model of that name, or the one at that path.

    Parameters
    ----------
    name_or_path
        Name of a listed model; or the path of a package's folder, of the `model.yaml` in it, of a
        checkpoint, or of a folder with checkpoints (see `find_checkpoint`). A checkpoint is read,
        which loads torch.

    Raises
    ------
    ModelError
        If there is no such model, naming those there are, or if it is broken, saying why.
    """
    models = list_models()
    packages = {model.name: model for model in models if isinstance(model, ModelPackage)}
    if isinstance(name_or_path, str) and name_or_path in packages:
        return _opened(packages[name_or_path])
    path = Path(name_or_path).expanduser()
    if path.name == CARD_FILE:
        path = path.parent
    if path.exists():
        return _opened(_listed_at(path, packages.values()) or _package_at(path))
    for model in models:
        if isinstance(model, BrokenPackage) and model.path.name == str(name_or_path):
            raise ModelError(model.reason)
        if isinstance(model, WeightsNeeded) and model.name == str(name_or_path):
            raise ModelError(model.reason)
    raise ModelError(
        Sentence(
            "There is no model {model!r}. Installed models: {models}. Put a model folder into {folder}, "
            "or pass the path of one.",
            model=str(name_or_path),
            models=", ".join(packages) or "none",
            folder=user_model_folder(),
        )
    )


def read_package(folder: Path, origin: Origin) -> ModelPackage:
    """Read the card of a package and check that its weights are there; they are not opened.

    Raises
    ------
    ModelError
        If the card or the weights are missing, or the card is wrong; the message names the file.
    """
    package = ModelPackage(folder.absolute(), read_card(folder / CARD_FILE), origin)
    if not package.weights.is_file():
        raise ModelError(
            Sentence("{path}: the weights are missing. Copy the whole model folder again.", path=package.weights)
        )
    return package


def _listed(folder: Path, origin: Origin) -> ModelPackage | None:
    """Return the model in a folder; None if it is a published one that still needs weights."""
    published = PUBLISHED.get(folder.name) if origin == "user" else None
    if (folder / CARD_FILE).exists():
        return read_package(folder, origin)
    if published is None:
        checkpoint = find_checkpoint(folder)
        if checkpoint is None:
            return read_package(folder, origin)
        raise ModelError(
            Sentence(
                "{checkpoint}: this checkpoint has no model card yet. Use it by its path, or convert it: "
                'napari-unetseg convert "{checkpoint}" -o "{folder}"',
                checkpoint=checkpoint,
                folder=folder,
            )
        )
    checkpoint = find_checkpoint(folder, (published.finetuned_path, published.pretrained_path))
    if checkpoint is None:
        return None
    card = published.card(WeightsFile(file=checkpoint.name, sha256=""))
    return ModelPackage(folder.absolute(), card, origin, is_checkpoint=True)


def _listed_at(path: Path, packages: Iterable[ModelPackage]) -> ModelPackage | None:
    """Return the listed model whose folder, or whose weights, that path is."""
    wanted = path.resolve()
    return next((found for found in packages if wanted in (found.path.resolve(), found.weights.resolve())), None)


def _package_at(path: Path) -> ModelPackage:
    if is_bioimageio(path):
        raise ModelError(
            Sentence(
                "{path}: this is a package of the BioImage Model Zoo. Convert it first: "
                'napari-unetseg convert "{path}" -o FOLDER',
                path=path,
            )
        )
    if path.is_dir():
        checkpoint = None if (path / CARD_FILE).exists() else find_checkpoint(path)
        return read_package(path, "path") if checkpoint is None else _read_checkpoint(checkpoint)
    if (path.parent / CARD_FILE).exists():
        package = read_package(path.parent, "path")
        if package.weights == path.absolute():
            return package
    return _read_checkpoint(path)


def _read_checkpoint(path: Path) -> ModelPackage:
    from napari_unetseg.zoo.import_checkpoint import describe_checkpoint

    _, card = describe_checkpoint(path)
    return ModelPackage(path.absolute().parent, card, "path", is_checkpoint=True)


def _opened(package: ModelPackage) -> ModelPackage:
    """Return a package whose card is complete: a listed checkpoint is read now."""
    if package.card.weights.sha256:
        return package
    found = _read_checkpoint(package.weights).card
    if found.architecture != package.card.architecture:
        raise ModelError(
            Sentence(
                "{path}: this checkpoint is a {network} with {arguments}, not {model}. Move it to a folder "
                "of another name.",
                path=package.weights,
                network=found.architecture.name,
                arguments=found.architecture.arguments,
                model=package.card.display_name,
            )
        )
    return replace(package, card=package.card.model_copy(update={"weights": found.weights}))


def _model_folders() -> Iterator[tuple[Path, Origin]]:
    roots: tuple[tuple[Path, Origin], ...] = ((bundled_model_folder(), "bundled"), (user_model_folder(), "user"))
    for root, origin in roots:
        if root.is_dir():
            folders = sorted(root.iterdir(), key=lambda path: (path.name != DEFAULT_MODEL, path))
            yield from ((path, origin) for path in folders if _is_model_folder(path))


def _is_model_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "_"))


def _taken(package: ModelPackage, owner: ModelPackage) -> str:
    whose = (
        Sentence("a bundled model")
        if owner.origin == "bundled"
        else Sentence("the model in {folder}", folder=owner.path)
    )
    return Sentence(
        "{path}: the name {model!r} is that of {whose}. Change 'name' in this file, or use the model by its path.",
        path=package.path / CARD_FILE,
        model=package.name,
        whose=whose,
    )
