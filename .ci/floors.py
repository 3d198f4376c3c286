"""Prove the lowest versions in pyproject.toml: install exactly those in a new environment, and use the package there.

Usage: floors.py [GROUP ...], by default all groups of extras, one environment after another. What a dependency needs
itself is as new as it may be.
Windows need a screen: xvfb-run python .ci/floors.py.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EVERY_HELP = """
import sys, typer
from typer.testing import CliRunner
from napari_unetseg.cli.main import app
def commands(above, *words):
    inner = getattr(above, "commands", {})
    yield words
    for word, each in inner.items():
        yield from commands(each, *words, word)
for words in commands(typer.main.get_command(app)):
    ended = CliRunner().invoke(app, [*words, "--help"])
    if ended.exit_code:
        sys.exit(f"{' '.join(words)} --help: {ended.output} {ended.exception!r}")
    print("--help", *words)
"""


@dataclass(frozen=True)
class Group:
    """Extras whose lowest versions can be installed together, and tests that use them."""

    extras: tuple[str, ...]
    tests: tuple[str, ...]
    tools: tuple[str, ...] = ()


# httpx is what the test client of old versions of Starlette speaks with, requests what our tests do.
GROUPS = {
    "usual": Group(
        ("train", "server", "client", "czi"),  # a file of a microscope is among what tests send to the server
        (
            "tests/cli/test_main.py",
            "tests/cli/test_segment_command.py",
            "tests/io/test_read.py",
            "tests/io/test_ome_tiff.py",
            "tests/server/test_segment_routes.py",
            "tests/server/test_job_routes.py",
            "tests/server/test_metrics.py",
            "tests/client/test_remote_service.py",
            "tests/client/test_key_store.py",
        ),
        ("matplotlib", "httpx", "requests"),
    ),
    "files": Group(
        ("formats", "parquet", "url", "distributed"),
        (
            "tests/io/microscope",
            "tests/io/test_table.py",
            "tests/io/ome_zarr/test_images.py",
            "tests/io/ome_zarr/test_labels.py",
            "tests/io/ome_zarr/test_location.py",
            "tests/cluster/test_connection.py",
            "tests/cluster/test_dask_executor.py",
        ),
    ),
    "backends": Group(
        ("onnx", "openvino"),
        (
            "tests/inference/backends/test_onnx_backend.py",
            "tests/inference/backends/test_onnx_export.py",
            "tests/inference/backends/openvino",
            "tests/zoo/bioimageio/test_package_conversion.py",
        ),
    ),
    "bioformats": Group(("bioformats",), ("tests/io/microscope/test_bioio_files.py",)),
    "ray": Group(("ray",), ("tests/server/test_ray_app.py",), ("httpx", "requests")),
}
CONTEXT_MENU = """
import napari, numpy as np
from napari_unetseg.plugin import commands
viewer = napari.Viewer(show=False)
viewer.window.add_plugin_dock_widget("napari-unetseg")
labels = viewer.add_labels(np.pad(np.ones((9, 9), int), 9))
viewer.layers.selection = {labels}
commands.labels_to_contours(viewer)
viewer.close()
"""


def main(names: Sequence[str]) -> None:
    """Install and try the lowest versions of each group; the environments go afterwards."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name in names:
        group = GROUPS[name]
        declared = [*project["dependencies"], *requirements(group.extras, project["optional-dependencies"])]
        with tempfile.TemporaryDirectory(prefix="floors-") as folder:
            try_group(group, list(floors(declared)), folder)


def try_group(group: Group, pins: Sequence[str], folder: str) -> None:
    """Make an environment with these versions in a folder, and use the package there."""
    constraints = Path(folder, "floors.txt")
    constraints.write_text("\n".join(pins) + "\n", encoding="utf-8")
    venv.create(Path(folder, "venv"), with_pip=True)
    scripts = Path(folder, "venv", "Scripts" if os.name == "nt" else "bin")
    package = f"{ROOT}[{','.join(group.extras)}]"
    tools = ("pytest>=8", "pytest-qt>=4.4", "hypothesis", "pyqt6", *group.tools)
    install = (scripts / "python", "-m", "pip", "install", "--quiet", "--no-cache-dir", "--constraint", constraints)
    run(folder, *install, "--editable", package, *tools)
    run(folder, scripts / "python", "-m", "pip", "list")
    run(folder, scripts / "python", "-c", EVERY_HELP)
    run(folder, scripts / "napari-unetseg", "models")
    demo = (scripts / "napari-unetseg", "demo", "--output", "demo", "--screenshot", "window.png")
    run(folder, *demo)
    run(folder, scripts / "python", "-c", CONTEXT_MENU)
    # Warnings of old versions are not ours to mend.
    pytest = (scripts / "python", "-m", "pytest", "-q", "-o", "filterwarnings=default", "-p", "no:cacheprovider")
    run(ROOT, *pytest, *group.tests)


def requirements(extras: Sequence[str], declared: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Give what extras ask for, and what other extras of ours do that they name."""
    for extra in extras:
        for requirement in declared[extra]:
            ours = re.fullmatch(r"napari-unetseg\[([\w,]+)\]", requirement)
            if ours is None:
                yield requirement
            else:
                yield from requirements(ours[1].split(","), declared)


def floors(declared: Sequence[str]) -> Iterator[str]:
    """Give the lowest version of each requirement as a constraint; the highest of several floors."""
    lowest: dict[str, str] = {}
    for requirement in declared:
        found = re.match(r"([\w.-]+)(?:\[[^]]*\])?>=([\w.]+)", requirement)
        if found is None:
            sys.exit(f"{requirement}: this has no lowest version.")
        name, version = found.groups()
        if name not in lowest or parts(lowest[name]) < parts(version):
            lowest[name] = version
    yield from (f"{name}=={version}" for name, version in lowest.items())


def parts(version: str) -> list[int]:
    """Split a version for comparing."""
    return [int(part) for part in version.split(".")]


def run(folder: str | Path, *line: str | Path) -> None:
    """Run a program in a folder, and stop everything where it fails."""
    sys.stderr.write(f"$ {' '.join(map(str, line))}\n")
    code = subprocess.run(list(map(str, line)), cwd=folder, check=False).returncode  # noqa: S603
    if code:
        sys.exit(f"{line[0]} failed ({code}).")


if __name__ == "__main__":
    main(sys.argv[1:] or list(GROUPS))
