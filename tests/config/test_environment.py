import pytest

from napari_unetseg.config import Settings, load_settings
from napari_unetseg.config.keys import fields, variable
from napari_unetseg.errors import ConfigError

KEYS = [key for key, _ in fields(Settings)]


def test_every_key_has_a_variable_of_its_own():
    assert len({variable(key) for key in KEYS}) == len(KEYS)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (("unet", "model", "device"), "UNET_MODEL_DEVICE"),
        (("unet", "model", "model_variant"), "UNET_MODEL_MODEL_VARIANT"),
        (("unet", "memory", "max_pool_size_gb"), "UNET_MEMORY_MAX_POOL_SIZE_GB"),
        (("unet", "health", "health_check_interval"), "UNET_HEALTH_HEALTH_CHECK_INTERVAL"),
        (("development", "save_debug_outputs"), "UNET_DEVELOPMENT_SAVE_DEBUG_OUTPUTS"),
    ],
)
def test_a_variable_is_named_after_section_and_key(key, name):
    assert key in KEYS
    assert variable(key) == name


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("UNET_MODEL_FALLBACK_TO_CPU", "0", ("model", "fallback_to_cpu", False)),
        ("UNET_MODEL_NAME", "2024", ("model", "name", "2024")),
        ("UNET_INFERENCE_THRESHOLD", " 0.25 ", ("inference", "threshold", 0.25)),
        ("UNET_PREPROCESSING_IMAGE_SIZE", "[512, 256]", ("preprocessing", "image_size", (512, 256))),
        ("UNET_LOGGING_LEVEL", "debug", ("logging", "level", "DEBUG")),
    ],
)
def test_values_are_read_as_in_the_file(monkeypatch, name, text, value):
    section, key, expected = value
    monkeypatch.setenv(name, text)
    assert getattr(getattr(load_settings().settings.unet, section), key) == expected


def test_null_takes_back_what_the_file_says(write, monkeypatch):
    path = write("unet: {inference: {batch_size: 8, window: 256}}")
    monkeypatch.setenv("UNET_INFERENCE_BATCH_SIZE", "null")
    assert load_settings(path).settings.unet.inference.batch_size is None
    assert load_settings(path).settings.unet.inference.window == 256


def test_an_empty_variable_counts_as_not_set(write, monkeypatch):
    monkeypatch.setenv("UNET_INFERENCE_BATCH_SIZE", "")
    loaded = load_settings(write("unet: {inference: {batch_size: 8}}"))
    assert loaded.settings.unet.inference.batch_size == 8


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("UNET_INFERENCE_BATCHSIZE", "Did you mean UNET_INFERENCE_BATCH_SIZE?"),
        ("UNET_DEVICE_MODEL", None),
        ("UNET_MODELDEVICE", "Did you mean UNET_MODEL_DEVICE?"),
        ("unet_model_device", "Did you mean UNET_MODEL_DEVICE?"),
        ("UNET_MEMORY_LIMIT", "has no effect"),
        ("UNET_HOME", None),
        ("NNUNET_MODEL_DEVICE", None),
    ],
)
def test_a_variable_that_looks_like_ours_gets_a_warning_and_no_other(monkeypatch, name, hint):
    monkeypatch.setenv(name, "1")
    warnings = load_settings().warnings
    if hint is None:
        assert warnings == ()
    else:
        (warning,) = warnings
        assert name in warning
        assert hint in warning


def test_a_wrong_list_names_its_variable(monkeypatch):
    monkeypatch.setenv("UNET_PREPROCESSING_IMAGE_SIZE", "[256, ")
    with pytest.raises(
        ConfigError, match=r"environment UNET_PREPROCESSING_IMAGE_SIZE: unet\.preprocessing\.image_size"
    ):
        load_settings()
