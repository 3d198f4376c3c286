"""Prove that the wheel installs: for each Python new environments, one after another, each used and removed.

Usage: installs.py WHEEL [--python 3.12] ... [--only WORD] [--pictures FOLDER]

For each Python: PyQt6, PySide6, no Qt at all (shell and notebook alone), and napari 0.6. Each environment asks whether
everything is well, segments a file, and opens napari with the panel, which segments a sample, or, without Qt, says in
plain words that there is no window, and segments in a notebook. Needs `uv` (pip install uv); its cache makes all
environments of a Python cost little more than one. Windows need a screen: xvfb-run python .ci/installs.py. Which index,
wheels and constraints are used, UV_* variables say.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

WORKS, SKIPPED = "works", "not for this Python"
QT = ("PyQt6", "PySide6", "PyQt5", "PySide2")
VERSIONS = ("python", "napari", "qt", "torch", "numpy")
TELL_VERSIONS = f"""
import platform
from importlib.metadata import PackageNotFoundError, version
def told(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
qt = " ".join(name + " " + told(name) for name in {QT} if told(name))
print(platform.python_version(), told("napari"), qt or "none", told("torch"), told("numpy"), sep="|")
"""
WRITE_SAMPLE = """
from tifffile import imwrite
from napari_unetseg.samples import nuclei
imwrite("sample.tif", nuclei().array)
"""
COUNT_LABELS = """
from tifffile import imread
found = int(imread("results/sample_labels.tif").max())
assert 80 < found < 110, found
print(found)
"""
RUN_A_NOTEBOOK = """
import nbformat, nbclient
cells = [
    "from napari_unetseg import SegmentationService\\nfrom napari_unetseg.samples import nuclei",
    "result = SegmentationService('nuclei').segment(nuclei())\\nassert 80 < result.count < 110\\nresult",
]
book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
assert "text/html" in book.cells[1].outputs[-1].data
"""


@dataclass(frozen=True)
class Environment:
    """What is asked for beside the wheel."""

    name: str
    extra: str = ""
    packages: tuple[str, ...] = ()
    window: bool = True
    newest_python: tuple[int, int] = (3, 99)


ENVIRONMENTS = (
    Environment("PyQt6", extra="[all]"),
    Environment("PySide6", packages=("napari[pyside6]",)),
    Environment("no Qt", packages=("ipykernel", "nbclient", "nbformat"), window=False),
    # The releases of vispy that it takes have no wheels for Python 3.14.
    Environment("napari 0.6", packages=("napari[pyqt6]==0.6.*",), newest_python=(3, 13)),
)


@dataclass
class Row:
    """What an environment turned out to be, and which step failed, if one did."""

    name: str
    versions: list[str] = field(default_factory=lambda: [""] * len(VERSIONS))
    megabytes: int = 0
    seconds: float = 0.0
    outcome: str = ""


class StepError(Exception):
    """A program that ended otherwise than it should have."""


def main() -> None:
    """Go through the environments, print the table, and fail where one did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--python", action="append", help="version or path of an interpreter; may be repeated")
    parser.add_argument("--only", default="", help="only environments with this word in their name")
    parser.add_argument("--pictures", type=Path, help="keep the pictures of the windows in this folder")
    options = parser.parse_args()
    if shutil.which("uv") is None:
        parser.error("uv is not here: pip install uv")
    wheel = options.wheel.resolve(strict=True)
    rows = []
    for python in options.python or [sys.executable]:
        for environment in ENVIRONMENTS:
            if options.only in environment.name:
                rows.append(try_environment(wheel, python, environment, options.pictures))
                say(f"{rows[-1].name}: {rows[-1].outcome}")
    sys.stdout.write("\n".join(table(rows)) + "\n")
    sys.exit(any(row.outcome not in (WORKS, SKIPPED) for row in rows))


def try_environment(wheel: Path, python: str, environment: Environment, pictures: Path | None) -> Row:
    """Make one environment, use it and remove it."""
    row = Row(environment.name)
    # The error that counts is told already; files in use on Windows shall not hide it.
    with tempfile.TemporaryDirectory(prefix="installs-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        scripts = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        interpreter = scripts / "python"
        try:
            start = time.monotonic()
            run(folder, "uv", "venv", "--quiet", "--python", python, "venv")
            version = run(folder, interpreter, "-c", "import sys; print(*sys.version_info[:2])").split()
            if tuple(map(int, version)) > environment.newest_python:
                row.versions[0], row.outcome = ".".join(version), SKIPPED
                return row
            wanted = (f"napari-unetseg{environment.extra} @ {wheel.as_uri()}", *environment.packages)
            run(folder, "uv", "pip", "install", "--quiet", "--python", interpreter, *wanted)
            row.seconds = time.monotonic() - start
            row.versions = run(folder, interpreter, "-c", TELL_VERSIONS).strip().split("|")
            row.megabytes = sum(file.lstat().st_size for file in folder.glob("venv/**/*")) >> 20
            run(folder, "uv", "pip", "check", "--quiet", "--python", interpreter)
            use(folder, scripts, environment, row)
        except StepError as error:
            row.outcome = str(error)
        if pictures is not None and (folder / "window.png").exists():
            pictures.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / "window.png", pictures / f"{row.versions[0]} {row.name}.png".replace(" ", "-"))
    return row


def use(folder: Path, scripts: Path, environment: Environment, row: Row) -> None:
    """Do in an environment what a user does first."""
    command, interpreter = scripts / "napari-unetseg", scripts / "python"
    run(folder, command, "health")
    run(folder, interpreter, "-c", WRITE_SAMPLE)
    run(folder, command, "segment", "sample.tif", "--output", "results")
    run(folder, interpreter, "-c", COUNT_LABELS)
    picture = (command, "demo", "--output", "demo", "--screenshot", "window.png")
    if environment.window:
        run(folder, scripts / "npe2", "validate", "napari-unetseg")
        run(folder, *picture)
    else:
        if row.versions[VERSIONS.index("qt")] != "none":
            raise StepError(f"{row.versions[VERSIONS.index('qt')]} is there")
        said = run(folder, *picture, code=1)
        if "The window cannot be opened" not in said or "Traceback" in said:
            raise StepError(f"says: {said}")
        run(folder, interpreter, "-c", RUN_A_NOTEBOOK)
    row.outcome = WORKS


def run(folder: Path, *line: str | Path, code: int = 0) -> str:
    """Run a program in a folder as a user whose home this is, and give what it printed."""
    say(f"$ {' '.join(map(str, line))}"[:120].splitlines()[0])
    cache = os.environ.get("UV_CACHE_DIR") or run_plain("uv", "cache", "dir")
    home = {"HOME": str(folder), "USERPROFILE": str(folder), "UV_CACHE_DIR": cache}
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV", "QT_API"))}
    ended = subprocess.run(  # noqa: S603
        list(map(str, line)), cwd=folder, env=ours | home, capture_output=True, text=True, check=False, timeout=3600
    )
    if ended.returncode != code:
        sys.stderr.write(ended.stdout + ended.stderr)
        raise StepError(f"{Path(line[0]).name} ended with {ended.returncode}")
    return ended.stdout + ended.stderr


def run_plain(*line: str) -> str:
    """Run a program as the user who calls, and give what it printed."""
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def table(rows: list[Row]) -> Iterator[str]:
    """Lay the rows out as a table in Markdown."""
    yield "| Python | environment | napari | Qt | torch | NumPy | seconds | MB | outcome |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for row in rows:
        python, *others = row.versions
        yield f"| {' | '.join([python, row.name, *others, f'{row.seconds:.0f}', str(row.megabytes), row.outcome])} |"


def say(text: str) -> None:
    """Tell what happens, beside the table."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
