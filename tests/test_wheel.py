"""What is published works by itself: content of the wheel, and the wheel in an environment of its own."""

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile

PACKAGE = "napari_unetseg"


def contents(wheel: Path) -> dict[str, str]:
    """SHA-256 of every file, by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interpreter of a new environment: the wheel, and the libraries of this one without the editable install."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    paths = sysconfig.get_paths("venv", vars={"base": str(folder), "platbase": str(folder)})
    for library in Path(sysconfig.get_path("purelib")).iterdir():
        if library.suffix != ".pth" and PACKAGE not in library.name:
            (Path(paths["purelib"]) / library.name).symlink_to(library)
    interpreter = Path(paths["scripts"]) / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(interpreter), *install], check=True)
    return interpreter


def run(*command: str | Path, cwd: Path) -> str:
    """Run in an environment variable set of its own; return what it printed, or fail with what it complained of."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_wheel_holds_the_package_and_its_data(wheel: Path, repository: Path) -> None:
    names = set(contents(wheel))
    models = [card.parent.name for card in (repository / "src" / PACKAGE / "models").glob("*/model.yaml")]
    assert "nuclei" in models
    wanted = [f"{PACKAGE}/{name}" for name in ("__init__.py", "py.typed", "napari.yaml")]
    wanted += [f"{PACKAGE}/models/{model}/{name}" for model in models for name in ("model.yaml", "weights.safetensors")]
    assert set(wanted) <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in contents(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {PACKAGE}
    assert wheel.stat().st_size < 40e6  # what the four models may weigh together


def test_the_sdist_builds_the_same_wheel(wheel: Path, repository: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, repository, cwd=tmp_path)
    (rebuilt,) = tmp_path.glob("*.whl")
    assert contents(rebuilt) == contents(wheel)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        tops = {name.split("/")[1] for name in archive.getnames()}
    # Tests that could not run from it, since they read more of a checkout, are not in it.
    assert tops - {".gitignore", "PKG-INFO"} == {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", "src"}


def test_the_installed_package_is_the_wheel(python: Path, tmp_path: Path) -> None:
    printed = run(python, "-c", f"import {PACKAGE}; print({PACKAGE}.__file__)", cwd=tmp_path)
    assert Path(printed.strip()).is_relative_to(python.parents[1])


def test_the_installed_command_lists_the_bundled_model(python: Path, tmp_path: Path) -> None:
    assert "nuclei" in run(python.with_name("napari-unetseg"), "models", cwd=tmp_path)


def test_the_installed_command_segments(python: Path, tmp_path: Path) -> None:
    y, x = np.mgrid[:96, :96]
    disc = (((y - 48) ** 2 + (x - 48) ** 2) < 12**2).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 200, disc.shape)
    tifffile.imwrite(tmp_path / "disc.tif", (1000 + 20000 * disc + noise).astype(np.uint16))
    command = python.with_name("napari-unetseg")
    run(command, "segment", "disc.tif", "--output", "out", "--device", "cpu", "--save", "labels", cwd=tmp_path)
    labels = tifffile.imread(tmp_path / "out" / "disc_labels.tif")
    assert labels.shape == (96, 96)
    assert labels[48, 48] > 0
    assert labels[5, 5] == 0


def test_napari_finds_the_installed_plugin_once(python: Path, tmp_path: Path) -> None:
    program = (
        "import json; from npe2 import PluginManager; manager = PluginManager(); manager.discover(); "
        "found = [m for m in manager.iter_manifests() if m.name == 'napari-unetseg']; "
        "print(json.dumps([[w.display_name for w in m.contributions.widgets] for m in found]))"
    )
    assert json.loads(run(python, "-c", program, cwd=tmp_path)) == [["U-Net Segmentation"]]
