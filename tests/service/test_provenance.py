"""How a result came about is written down without keeping the next image waiting."""

from collections.abc import Callable
from pathlib import Path

import pytest
from numpy.typing import NDArray

from napari_unetseg import SegmentationService
from napari_unetseg.config import Settings
from napari_unetseg.service import provenance


def test_versions_are_looked_up_once(
    bright_model: Path, settings: Callable[..., Settings], squares: NDArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = SegmentationService(bright_model, settings=settings())
    first = service.segment(squares).provenance
    looked_up: list[str] = []
    monkeypatch.setattr(provenance, "version", lambda name: looked_up.append(name) or "0")
    second = service.segment(squares).provenance
    assert looked_up == []
    assert second.versions == first.versions
    # What a caller does to one record does not change the next.
    second.versions["numpy"] = "changed"
    assert service.segment(squares).provenance.versions == first.versions
