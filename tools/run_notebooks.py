"""Run the notebooks and keep what they show: `xvfb-run -a python tools/run_notebooks.py [notebooks/NAME.ipynb ...]`.

Each runs in an empty folder, with settings, models and windows of its own. Pictures are reduced to 256 colours, which
nobody sees and which makes them a third as large.
"""

import argparse
import base64
import io
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import nbformat
from nbclient import NotebookClient
from PIL import Image

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
_PNG_IN_HTML = re.compile(r"(?<=data:image/png;base64,)[\w+/=]+")


def main() -> None:
    """Run the notebooks that are named, or all, and write each in its place."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(NOTEBOOKS.glob("*.ipynb")))
    for path in parser.parse_args().notebooks:
        began = perf_counter()
        run(path)
        print(f"{path.name}: {perf_counter() - began:.1f} s, {path.stat().st_size / 1000:.0f} kB")  # noqa: T201


def run(path: Path) -> None:
    """Execute a notebook and write it with what its cells show."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        work.mkdir()
        NotebookClient(
            notebook,
            timeout=300,
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(work)}},
        ).execute(env=os.environ | _home(Path(folder)))
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index:02}"
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [_small(output) for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata = {"kernelspec": notebook.metadata.kernelspec, "language_info": {"name": "python"}}
    nbformat.write(notebook, path)


def _home(folder: Path) -> dict[str, str]:
    """Return an environment in which a notebook finds no settings of whoever runs it, and no event loop of napari."""
    homes = {f"XDG_{kind}_HOME": str(folder / kind) for kind in ("CONFIG", "DATA", "CACHE", "STATE")}
    quiet = {"NAPARI_CONFIG": str(folder / "napari.yaml"), "NAPARI_APPLICATION_IPY_INTERACTIVE": "0"}
    return homes | quiet | {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


def _small(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    data = output.get("data", {})
    if "image/png" in data:
        data["image/png"] = _with_few_colours(data["image/png"])
    if "text/html" in data:
        html: str | Sequence[str] = data["text/html"]
        data["text/html"] = _PNG_IN_HTML.sub(
            lambda found: _with_few_colours(found[0]), html if isinstance(html, str) else "".join(html)
        )
    return output


def _with_few_colours(png: str) -> str:
    """Return a PNG picture in base64 with a palette, or as it was where that is no smaller."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return min(base64.b64encode(buffer.getvalue()).decode(), png, key=len)


if __name__ == "__main__":
    main()
