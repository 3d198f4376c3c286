"""Keep the tests off the user's settings, models and windows.

The environment is set while this file is imported: napari and platformdirs read it when they are
first imported, before any fixture runs.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

_HOME = tempfile.TemporaryDirectory(prefix="napari-unetseg-tests-", ignore_cleanup_errors=True)

for _variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "JUPYTER_CONFIG_DIR"):
    os.environ[_variable] = str(Path(_HOME.name) / _variable.lower())
os.environ["NAPARI_CONFIG"] = str(Path(_HOME.name) / "napari.yaml")
# Inside a notebook napari would start an event loop that ipykernel 7 waits for without end.
os.environ["NAPARI_APPLICATION_IPY_INTERACTIVE"] = "0"
os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
os.environ["MPLBACKEND"] = "Agg"


def pytest_unconfigure() -> None:
    """Remove the borrowed home."""
    _HOME.cleanup()


@pytest.fixture(scope="session")
def repository() -> Path:
    """Top folder of the checkout."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the checkout, without network."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(repository)],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built
