"""A package of the BioImage Model Zoo as files: a zip, a folder, or the description in one.

Only files that the description names are opened. None of them may lie outside the package, be a link, or be larger
than what is meant; nothing is fetched from the web, and nothing is run.
"""

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

import yaml
from pydantic import ValidationError

from napari_unetseg.bounded_text import LARGEST_TEXT, read_yaml
from napari_unetseg.errors import ModelError
from napari_unetseg.io.hashing import hash_file
from napari_unetseg.language import Sentence
from napari_unetseg.zoo.bioimageio.description import Description, FileOf
from napari_unetseg.zoo.bioimageio.spec_0_4 import Model04
from napari_unetseg.zoo.bioimageio.spec_0_5 import Model05
from napari_unetseg.zoo.card import CARD_FILE, explain_card_error

DESCRIPTION_FILES = ("rdf.yaml", "bioimageio.yaml")
"""What the description in a package is called; a package may call it ``something.bioimageio.yaml``, too."""

ZIP = ".zip"

LARGEST_WEIGHTS = 4 * 2**30
LARGEST_TENSOR = 512 * 2**20
LARGEST_PICTURE = 16 * 2**20
"""Bytes of a file in a package at most, by what it is."""

_MOST_MEMBERS = 10_000
# Weights hardly shrink; test tensors of zeros shrink a thousand times.
_SHRINKS, _SHRINKS_FROM = 1200, 32 * 2**20
_AT_ONCE = 2**20
_VERSIONS: Mapping[str, type[Model04] | type[Model05]] = {"0.4": Model04, "0.5": Model05}
_SUFFIXES = (".bioimageio.yaml", ".rdf.yaml")


def is_bioimageio(path: Path) -> bool:
    """Tell by names alone whether a path is such a package; a folder with a card of ours is none."""
    if path.is_dir():
        return not (path / CARD_FILE).exists() and _description_in(path) is not None
    return path.suffix.lower() == ZIP or _is_description(path.name)


class Package:
    """An open package.

    Attributes
    ----------
    path
        What was opened.
    text
        Its description as it is written.
    description
        What it says of itself.
    """

    def __init__(self, path: Path, files: "_Folder | _Zip") -> None:
        self.path = path
        self._files = files
        self.text = files.text()
        self.description = _read_description(path, self.text)

    def file(self, wanted: FileOf, largest: int) -> Path:
        """Return a file of the package on disk; one in a zip is unpacked into a folder that goes with it.

        Parameters
        ----------
        wanted
            As the description names it; its hash is compared where it is stated.
        largest
            Bytes that it may have.

        Raises
        ------
        ModelError
            If it is on the web, is missing, lies outside the package, is too large, or is not the one described.
        """
        found = self._files.file(_within(self.path, wanted.source), largest)
        if wanted.sha256 and hash_file(found) != wanted.sha256:
            raise ModelError(
                Sentence(
                    "{path}: {file} is not the file that the package describes (its SHA-256 differs). Download the "
                    "package again.",
                    path=self.path,
                    file=wanted.source,
                )
            )
        return found


@contextmanager
def open_package(path: Path) -> Iterator[Package]:
    """Open a zip, a folder or the description in one, and read the description.

    Raises
    ------
    ModelError
        If it is no package, is damaged, or its description is wrong or of a version that is not known; the message
        names the file.
    """
    try:
        if path.suffix.lower() == ZIP and not path.is_dir():
            with zipfile.ZipFile(path) as archive, TemporaryDirectory(prefix="unetseg-package-") as folder:
                yield Package(path, _Zip(path, archive, Path(folder)))
        else:
            yield Package(path, _Folder(path))
    except (zipfile.BadZipFile, NotImplementedError, zlib.error, EOFError) as error:
        raise ModelError(
            Sentence(
                "{path}: this zip file is damaged, or was not downloaded to its end ({reason}). Download it again.",
                path=path,
                reason=error,
            )
        ) from error
    except OSError as error:
        raise ModelError(
            Sentence("{path}: the package cannot be read ({reason}).", path=path, reason=error.strerror or error)
        ) from error


def _is_description(name: str) -> bool:
    return name in DESCRIPTION_FILES or name.endswith(_SUFFIXES)


def _description_in(folder: Path) -> str | None:
    names = sorted(entry.name for entry in folder.iterdir() if _is_description(entry.name))
    return _chosen(names)


def _chosen(names: list[str]) -> str | None:
    first = next((name for name in DESCRIPTION_FILES if name in names), None)
    return first or (names[0] if names else None)


def _within(path: Path, source: str) -> PurePosixPath:
    """Return a path within a package, and refuse any that is none."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.\-]+:", source):
        raise ModelError(
            Sentence(
                "{path}: {file} is not in the package but on the web, and nothing is downloaded. Download the whole "
                "package from the BioImage Model Zoo as a zip file.",
                path=path,
                file=source,
            )
        )
    inner = PurePosixPath(source)
    bad = "\\" in source or inner.is_absolute() or ".." in inner.parts or not inner.parts or ":" in source
    if bad or not source.isprintable():
        raise ModelError(
            Sentence("{path}: it names the file {file!r}, which lies outside the package.", path=path, file=source)
        )
    return inner


def _missing(path: Path, name: object) -> ModelError:
    return ModelError(
        Sentence("{path}: {file} is missing in the package. Download it again.", path=path, file=str(name))
    )


def _too_large(path: Path, name: object, largest: int) -> ModelError:
    return ModelError(
        Sentence(
            "{path}: {file} is larger than it may be ({megabytes:,.0f} MB).",
            path=path,
            file=str(name),
            megabytes=largest / 1e6,
        )
    )


class _Folder:
    """The files of a package that lies in a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.root = path if path.is_dir() else path.parent
        name = _description_in(path) if path.is_dir() else path.name
        if name is None:
            raise _no_description(path)
        self.description = name

    def text(self) -> str:
        return _decoded(self._path, self.file(PurePosixPath(self.description), LARGEST_TEXT).read_bytes())

    def file(self, inner: PurePosixPath, largest: int) -> Path:
        found = self.root / inner
        if not found.is_file():
            raise _missing(self._path, inner)
        if not found.resolve().is_relative_to(self.root.resolve()):
            raise ModelError(
                Sentence("{path}: {file} is a link to a file outside the package.", path=self._path, file=str(inner))
            )
        if found.stat().st_size > largest:
            raise _too_large(self._path, inner, largest)
        return found


class _Zip:
    """The files of a package in a zip, which may lie in one folder there."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, folder: Path) -> None:
        self._path, self._archive, self._folder = path, archive, folder
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise ModelError(Sentence("{path}: there are more than {most} files in it.", path=path, most=_MOST_MEMBERS))
        self._members = {member.filename: member for member in members}
        if len(self._members) < len(members):
            raise ModelError(Sentence("{path}: it holds two files of one name.", path=path))
        above = {str(PurePosixPath(name).parent) for name in self._members if _is_description(PurePosixPath(name).name)}
        self._above = min(above, key=lambda name: (name.count("/") + (name != "."), name), default=".")
        names = [PurePosixPath(name).name for name in self._members if str(PurePosixPath(name).parent) == self._above]
        chosen = _chosen(sorted(filter(_is_description, names)))
        if chosen is None:
            raise _no_description(path)
        self.description = chosen

    def text(self) -> str:
        member = self._member(PurePosixPath(self.description), LARGEST_TEXT)
        with self._archive.open(member) as file:
            return _decoded(self._path, file.read(LARGEST_TEXT + 1))

    def file(self, inner: PurePosixPath, largest: int) -> Path:
        # Never under a path that the zip says: only its own name, which nothing else has here.
        place = self._folder / str(len(list(self._folder.iterdir())))
        member = self._member(inner, largest)
        place.mkdir()
        target = place / inner.name
        with self._archive.open(member) as source, target.open("wb") as out:
            _copy(source, out, member.file_size)
        return target

    def _member(self, inner: PurePosixPath, largest: int) -> zipfile.ZipInfo:
        name = str(inner) if self._above == "." else f"{self._above}/{inner}"
        member = self._members.get(name)
        if member is None or member.is_dir():
            raise _missing(self._path, inner)
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ModelError(Sentence("{path}: {file} is a link, not a file.", path=self._path, file=str(inner)))
        if member.flag_bits & 1:
            raise ModelError(
                Sentence("{path}: {file} is encrypted. Unpack it first.", path=self._path, file=str(inner))
            )
        shrunk = member.file_size > _SHRINKS_FROM and member.file_size > _SHRINKS * max(member.compress_size, 1)
        if member.file_size > largest or shrunk:
            raise _too_large(self._path, inner, largest)
        return member


def _copy(source: IO[bytes], out: IO[bytes], size: int) -> None:
    """Copy a member, and no more of it than the zip says."""
    left = size
    while chunk := source.read(_AT_ONCE):
        left -= len(chunk)
        if left < 0:
            raise zipfile.BadZipFile("a file is longer than it says")
        out.write(chunk)


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _wrong(path, error) from error


def _no_description(path: Path) -> ModelError:
    return ModelError(
        Sentence(
            "{path}: there is no {names} in it, so it is no package of the BioImage Model Zoo.",
            path=path,
            names=" or ".join(DESCRIPTION_FILES),
        )
    )


def _wrong(path: Path, reason: object) -> ModelError:
    return ModelError(Sentence("{path}: its description is wrong: {reason}.", path=path, reason=reason))


def _read_description(path: Path, text: str) -> Description:
    try:
        content = read_yaml(text)
    except yaml.YAMLError as error:
        raise _wrong(path, error) from error
    if not isinstance(content, dict) or content.get("type", "model") != "model":
        raise ModelError(Sentence("{path}: the package holds no model (its type is not 'model').", path=path))
    version = str(content.get("format_version", ""))
    model = _VERSIONS.get(".".join(version.split(".")[:2]))
    if model is None:
        raise ModelError(
            Sentence(
                "{path}: it follows version {version} of the BioImage Model Zoo's format; {known} can be read.",
                path=path,
                version=version or "?",
                known=" and ".join(_VERSIONS),
            )
        )
    try:
        return model.model_validate(content | {"format_version": version}).describe()
    except ValidationError as error:
        raise _wrong(path, explain_card_error(error)) from error
    except ValueError as error:
        raise _wrong(path, error) from error
