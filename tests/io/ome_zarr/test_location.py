"""Where an OME-Zarr lies."""

import zipfile
from pathlib import Path

import pytest

from napari_unetseg.io.ome_zarr.location import Location, is_ome_zarr, is_url, plain_stem


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "plate.zarr.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("plate.zarr/.zgroup", "{}")
    return path


def test_a_path_leads_into_folders_archives_and_addresses(tmp_path: Path, archive: Path) -> None:
    assert Location.of(archive / "B" / "3") == Location(str(archive), "B/3")
    assert Location.of(archive).at("B").at("3").address == f"{archive}/B/3"
    assert Location.of("https://a.org/x.zarr/").at("/0/").address == "https://a.org/x.zarr/0"
    assert Location.of(tmp_path / "x.zarr").at("labels/a") == Location(str(tmp_path / "x.zarr" / "labels" / "a"))
    assert Location.of(tmp_path / "missing.zip" / "0") == Location(str(tmp_path / "missing.zip" / "0"))


def test_what_is_ome_zarr_is_seen_by_names_of_files(tmp_path: Path, archive: Path) -> None:
    for name, content in {"a": ".zattrs", "b": "zarr.json", "c": "picture.tif"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / content).touch()
    (tmp_path / "empty.zarr").mkdir()
    (tmp_path / "other.zip").write_bytes(b"no archive")
    seen = {name: is_ome_zarr(tmp_path / name) for name in ("a", "b", "c", "empty.zarr", "other.zip", "missing.zarr")}
    assert seen == {"a": True, "b": True, "c": False, "empty.zarr": True, "other.zip": False, "missing.zarr": False}
    assert is_ome_zarr(archive)
    assert is_ome_zarr("s3://bucket/x.zarr")
    assert not is_url(r"C:\data\x.zarr")


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("a/cells.ome.zarr", "cells"),
        ("a/cells.zarr", "cells"),
        ("https://a.org/cells.ome.zarr.zip", "cells"),
        ("cells.ozx", "cells"),
        ("a/cells.v2", "cells.v2"),
        ("x.zarr/0", "0"),
    ],
)
def test_a_stem_has_no_suffix_of_zarr(path: str, stem: str) -> None:
    assert plain_stem(path) == stem
