"""Programs of others that read and write OME-Zarr."""

import subprocess
import sys
from pathlib import Path

import pytest

# Together they need older versions of pydantic and dateutil than napari's environment has.
_PINS = ("ome-zarr==0.18.0", "ngff-zarr==0.50.0", "jsonschema", "pydantic==2.12.5", "python-dateutil==2.9.0")
_PINS += ("zarr==3.1.6",)


@pytest.fixture(scope="session")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with ome-zarr-py and ngff-zarr; for nightly tests, as it takes a minute to make."""
    folder = tmp_path_factory.mktemp("foreign")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *_PINS], check=True, timeout=1200)
    return python
