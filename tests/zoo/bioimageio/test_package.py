"""Packages as files: nothing outside is read, nothing is larger than it says, and faults are named."""

import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.zoo.bioimageio.conftest import WritePackage, described_0_4, described_0_5, write_files

from napari_unetseg.errors import ModelError
from napari_unetseg.zoo.bioimageio.description import Extent, FileOf
from napari_unetseg.zoo.bioimageio.package import LARGEST_PICTURE, is_bioimageio, open_package

COVER = FileOf("cover.png")


def zipped(folder: Path, archive: Path, inside: str = "") -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.iterdir()):
            file.write(path, f"{inside}{path.name}")
    return archive


def test_what_is_a_package_is_told_by_names(write_zoo_package: WritePackage, tmp_path: Path) -> None:
    folder = write_zoo_package()
    assert is_bioimageio(folder)
    assert is_bioimageio(folder / "rdf.yaml")
    assert is_bioimageio(Path("something.bioimageio.yaml"))
    assert is_bioimageio(Path("a.zip"))
    assert not is_bioimageio(Path("model.yaml"))
    assert not is_bioimageio(tmp_path)
    (folder / "model.yaml").write_text("", encoding="utf-8")
    assert not is_bioimageio(folder)


def test_a_file_is_read_from_a_folder_in_a_zip(write_zoo_package: WritePackage, tmp_path: Path) -> None:
    with open_package(zipped(write_zoo_package(), tmp_path / "a.zip", "top/")) as package:
        copied = package.file(COVER, LARGEST_PICTURE)
        assert copied.read_bytes() == b"a picture"
        assert copied.suffix == ".png"
    assert not copied.exists()


@pytest.mark.parametrize("source", ["../secret.png", "/etc/hostname", "a/../../b", "C:\\x.png", "..\\x", ".", "c:x"])
def test_paths_out_of_a_package_are_refused(source: str, write_zoo_package: WritePackage, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    folder = write_zoo_package()
    for path in (folder, zipped(folder, tmp_path / "a.zip")):
        with open_package(path) as package, pytest.raises(ModelError, match=r"outside the package|is missing"):
            package.file(FileOf(source), LARGEST_PICTURE)


def test_links_are_refused(write_zoo_package: WritePackage, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    folder = write_zoo_package()
    archive = zipped(folder, tmp_path / "a.zip")
    with zipfile.ZipFile(archive, "a") as file:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "../secret.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    for path in (folder, archive):
        with open_package(path) as package, pytest.raises(ModelError, match=r"link\.png is a link"):
            package.file(FileOf("link.png"), LARGEST_PICTURE)


def test_what_is_too_large_is_not_unpacked(write_zoo_package: WritePackage, tmp_path: Path) -> None:
    folder = write_zoo_package()
    (folder / "cover.png").write_bytes(bytes(LARGEST_PICTURE + 1))
    for path in (folder, zipped(folder, tmp_path / "a.zip")):
        with open_package(path) as package, pytest.raises(ModelError, match=r"cover\.png is larger than it may be"):
            package.file(COVER, LARGEST_PICTURE)


def test_a_member_that_shrank_too_much_is_not_unpacked(
    write_zoo_package: WritePackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_unetseg.zoo.bioimageio.package._SHRINKS_FROM", 1000)
    monkeypatch.setattr("napari_unetseg.zoo.bioimageio.package._SHRINKS", 20)
    folder = write_zoo_package()
    (folder / "cover.png").write_bytes(bytes(100_000))
    archive = zipped(folder, tmp_path / "a.zip")
    with open_package(archive) as package, pytest.raises(ModelError, match="larger than it may be"):
        package.file(COVER, LARGEST_PICTURE)


def test_a_zip_that_was_cut_short_is_told(write_zoo_package: WritePackage, tmp_path: Path) -> None:
    archive = zipped(write_zoo_package(), tmp_path / "a.zip")
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(ModelError, match=r"a\.zip: this zip file is damaged"), open_package(archive):
        pass
    archive.write_bytes(b"no zip")
    with pytest.raises(ModelError, match=r"a\.zip: this zip file is damaged"), open_package(archive):
        pass


def test_a_zip_of_something_else_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("a.roi", "x")
    with pytest.raises(ModelError, match=r"no rdf\.yaml or bioimageio\.yaml in it"), open_package(tmp_path / "a.zip"):
        pass


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[", "its description is wrong"),
        ("type: dataset", "holds no model"),
        ("- 1", "holds no model"),
        ("format_version: 0.3.6", "version 0.3.6 of the BioImage Model Zoo's format; 0.4 and 0.5 can be read"),
        ("format_version: 0.5.0\nname: a\nweights: {}", "inputs: Field required"),
        ("a: &a [*a]", "its description is wrong"),
    ],
)
def test_a_description_that_is_wrong_is_told(text: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "rdf.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=fault), open_package(tmp_path / "rdf.yaml"):
        pass


def test_both_versions_say_the_same(tmp_path: Path) -> None:
    import numpy as np
    from torch import nn

    write_files(tmp_path, nn.Identity(), np.zeros(3), np.zeros(3))
    found = []
    for name, described in (
        ("old.rdf.yaml", described_0_4(tmp_path, [_zero_mean_0_4()], [{"name": "sigmoid"}], 2)),
        ("new.rdf.yaml", described_0_5(tmp_path, [_zero_mean_0_5()], [{"id": "sigmoid"}], ["a", "b"])),
    ):
        (tmp_path / name).write_text(yaml.safe_dump(described), encoding="utf-8")
        with open_package(tmp_path / name) as package:
            found.append(package.description)
    old, new = found
    assert old.inputs[0].axes == new.inputs[0].axes == "bcyx"
    assert old.inputs[0].extents == new.inputs[0].extents
    assert old.inputs[0].extents["y"] == Extent(16, 2)
    assert old.inputs[0].operations == new.inputs[0].operations
    assert old.outputs[0].channels == new.outputs[0].channels == 2
    assert {axis: old.outputs[0].halo[axis] for axis in "yx"} == {"y": 4, "x": 4}
    assert [old.outputs[0].growth[axis] for axis in "yx"] == [new.outputs[0].growth[axis] for axis in "yx"]
    assert old.outputs[0].operations == new.outputs[0].operations
    assert (old.authors, old.citations, old.licence) == (new.authors, new.citations, new.licence)


def _zero_mean_0_4() -> dict[str, Any]:
    return {"name": "zero_mean_unit_variance", "kwargs": {"axes": "yx", "mode": "per_sample", "eps": 1e-5}}


def _zero_mean_0_5() -> dict[str, Any]:
    return {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["y", "x"], "eps": 1e-5}}
