"""Configuration files, and an environment without any of our variables."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

PUBLISHED = """\
unet:
  model:
    checkpoint_dir: "../models/unet/checkpoints/"
    model_variant: "standard"  # standard, lightweight, deep
    device: "auto"  # auto, cuda, cpu
    fallback_to_cpu: true

  preprocessing:
    image_size: [256, 256]
    normalize: true
    mean: [0.485, 0.456, 0.406]
    std: [0.229, 0.224, 0.225]

  inference:
    batch_size: 8
    threshold: 0.5
    enable_confidence: true
    enable_batch_processing: true

  memory:
    pool_size_multiplier: 10
    enable_gpu_pools: true
    max_pool_size_gb: 4

  health:
    startup_validation: true
    dummy_inference_test: true
    health_check_interval: 30
"""


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("UNET_", "NAPARI_UNETSEG_")):
            monkeypatch.delenv(name)


@pytest.fixture
def published() -> str:
    """The configuration file of the published serving guide."""
    return PUBLISHED


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Write a configuration file."""

    def save(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return save
