"""Packages of the BioImage Model Zoo that are used by their path: converted once, and kept until they change."""

import hashlib
from dataclasses import replace
from pathlib import Path

from platformdirs import user_cache_path

from napari_unetseg.io.hashing import hash_file
from napari_unetseg.zoo.bioimageio.checking import Answer
from napari_unetseg.zoo.bioimageio.package import ZIP, open_package
from napari_unetseg.zoo.bioimageio.package_conversion import convert_bioimageio
from napari_unetseg.zoo.bioimageio.weights import choose_weights
from napari_unetseg.zoo.card import CARD_FILE, as_name
from napari_unetseg.zoo.registry import ModelPackage, read_package


def package_folder() -> Path:
    """Return the folder of the models that were made of packages used by their path; it need not exist."""
    return user_cache_path("napari-unetseg", appauthor=False) / "bioimageio"


def cached_package(path: Path, answer: Answer) -> ModelPackage:
    """Return the model that a package is, made and checked the first time.

    Parameters
    ----------
    path
        A zip, a folder, or the description in one.
    answer
        Runs a model on the package's test image.

    Raises
    ------
    ModelError
        See `convert_bioimageio`. A package that brings its own network has to be added first, with consent.
    UnetsegError
        If the cache cannot be written.
    """
    key = _key(path)
    if path.suffix.lower() == ZIP and path.is_file():
        name = as_name(path.stem)
    else:
        name = as_name((path if path.is_dir() else path.parent).absolute().name)
    folder = package_folder() / key[:16] / name
    is_made = (folder / CARD_FILE).exists()
    package = read_package(folder, "path") if is_made else convert_bioimageio(path, folder, answer=answer).model
    return replace(package, given=path.absolute())


def _key(path: Path) -> str:
    """Return what changes with the package."""
    if path.is_file() and path.suffix.lower() == ZIP:
        return hash_file(path)
    with open_package(path) as package:
        weights = choose_weights(package)
        return hashlib.sha256((package.text + hash_file(weights.file)).encode()).hexdigest()
