"""The files of `deploy/`."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def deploy(repository: Path) -> Path:
    return repository / "deploy"
