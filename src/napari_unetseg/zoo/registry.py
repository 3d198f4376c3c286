"""Which models there are: bundled with the package, in the user's folder, or at a path.

Nothing here imports torch, so a window can list models before torch is loaded. A name means one
model: a bundled name always means the bundled model, so that the same call gives the same result on
every machine. A user's package whose name is already taken is listed as broken, with the remedy, and
can still be used by its path.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path

from napari_unetseg.errors import ModelError
from napari_unetseg.zoo.card import CARD_FILE, ModelCard, read_card

DEFAULT_MODEL = "nuclei"

Origin = Literal["bundled", "user", "path"]


@dataclass(frozen=True)
class ModelPackage:
    """A folder with a card and weights.

    Attributes
    ----------
    path
        The folder.
    card
        What `model.yaml` in it says.
    origin
        Where it was found: ``"bundled"``, ``"user"`` or ``"path"``.
    """

    path: Path
    card: ModelCard
    origin: Origin

    @property
    def name(self) -> str:
        """The name by which users ask for it."""
        return self.card.name

    @property
    def weights(self) -> Path:
        """The file that holds the weights."""
        return self.path / self.card.weights.file


@dataclass(frozen=True)
class BrokenPackage:
    """A model folder that cannot be used, and a sentence that says why."""

    path: Path
    origin: Origin
    reason: str


def bundled_model_folder() -> Path:
    """Return the folder of the models that come with the package."""
    return Path(str(files("napari_unetseg"))) / "models"


def user_model_folder() -> Path:
    """Return the folder in which users put models of their own; it need not exist."""
    return user_data_path("napari-unetseg", appauthor=False) / "models"


def list_models() -> list[ModelPackage | BrokenPackage]:
    """Return every bundled and user model, bundled first, by folder name; broken ones say why."""
    found: list[ModelPackage | BrokenPackage] = []
    taken: dict[str, ModelPackage] = {}
    for folder, origin in _model_folders():
        try:
            package = read_package(folder, origin)
        except ModelError as error:
            found.append(BrokenPackage(folder, origin, str(error)))
            continue
        if package.name in taken:
            found.append(BrokenPackage(folder, origin, _taken(package, taken[package.name])))
            continue
        taken[package.name] = package
        found.append(package)
    return found


def find_model(name_or_path: str | Path) -> ModelPackage:
    """Return the model of that name, or the model package at that path.

    Parameters
    ----------
    name_or_path
        Name of a listed model, or path of a package's folder or of the `model.yaml` in it.

    Raises
    ------
    ModelError
        If there is no such model, naming those there are, or if it is broken, saying why.
    """
    models = list_models()
    packages = {model.name: model for model in models if isinstance(model, ModelPackage)}
    if isinstance(name_or_path, str) and name_or_path in packages:
        return packages[name_or_path]
    path = Path(name_or_path).expanduser()
    if path.name == CARD_FILE:
        path = path.parent
    if path.is_dir():
        listed = (package for package in packages.values() if package.path.resolve() == path.resolve())
        return next(listed, None) or read_package(path, "path")
    for model in models:
        if isinstance(model, BrokenPackage) and model.path.name == str(name_or_path):
            raise ModelError(model.reason)
    raise ModelError(
        f"There is no model {str(name_or_path)!r}. Installed models: {', '.join(packages) or 'none'}. "
        f"Put a model folder into {user_model_folder()}, or pass the path of one."
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
        raise ModelError(f"{package.weights}: the weights are missing. Copy the whole model folder again.")
    return package


def _model_folders() -> Iterator[tuple[Path, Origin]]:
    roots: tuple[tuple[Path, Origin], ...] = ((bundled_model_folder(), "bundled"), (user_model_folder(), "user"))
    for root, origin in roots:
        if root.is_dir():
            yield from ((path, origin) for path in sorted(root.iterdir()) if _is_model_folder(path))


def _is_model_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "_"))


def _taken(package: ModelPackage, owner: ModelPackage) -> str:
    whose = "a bundled model" if owner.origin == "bundled" else f"the model in {owner.path}"
    return (
        f"{package.path / CARD_FILE}: the name {package.name!r} is that of {whose}. "
        "Change 'name' in this file, or use the model by its path."
    )
