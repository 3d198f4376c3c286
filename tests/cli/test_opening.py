import logging

import pytest

from napari_unetseg.cli.opening import open_service


@pytest.fixture(autouse=True)
def handlers():
    logger = logging.getLogger("napari_unetseg")
    before, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = before
    logger.setLevel(level)


def test_what_is_asked_for_goes_before_the_environment(bright_model, monkeypatch):
    monkeypatch.setenv("UNET_MODEL_NAME", str(bright_model))
    assert open_service(None, None).package.name == "bright"
    assert open_service("nuclei", None).package.name == "nuclei"


def test_a_misspelt_variable_is_told(bright_model, monkeypatch, capsys):
    monkeypatch.setenv("UNET_MODEL_DEVISE", "cpu")
    open_service(str(bright_model), None)
    assert "Did you mean UNET_MODEL_DEVICE?" in capsys.readouterr().err
