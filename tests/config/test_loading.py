from pathlib import Path

import pytest

from napari_unetseg.config import Settings, load_settings
from napari_unetseg.config.loading import user_config_file
from napari_unetseg.errors import ConfigError

PUBLISHED_VARIABLES = {
    "UNET_MODEL_DEVICE": "cuda",
    "UNET_INFERENCE_BATCH_SIZE": "16",
    "UNET_MEMORY_MAX_POOL_SIZE_GB": "8",
    "UNET_HEALTH_DUMMY_INFERENCE_TEST": "false",
}


@pytest.fixture
def user_file():
    """Where the user's file is looked for; removed after the test."""
    path = user_config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    yield path
    path.unlink(missing_ok=True)


def test_the_published_file_loads_as_it_is(write, published):
    unet = load_settings(write(published)).settings.unet
    assert (unet.model.model_variant, unet.model.device, unet.model.fallback_to_cpu) == ("standard", "auto", True)
    assert unet.preprocessing.image_size == (256, 256)
    assert unet.preprocessing.normalize is True
    assert unet.preprocessing.mean == (0.485, 0.456, 0.406)
    assert unet.preprocessing.std == (0.229, 0.224, 0.225)
    assert (unet.inference.batch_size, unet.inference.threshold) == (8, 0.5)
    assert unet.inference.enable_confidence
    assert unet.inference.enable_batch_processing
    assert (unet.memory.pool_size_multiplier, unet.memory.enable_gpu_pools, unet.memory.max_pool_size_gb) == (
        10,
        True,
        4,
    )
    assert (unet.health.startup_validation, unet.health.dummy_inference_test) == (True, True)
    assert unet.health.health_check_interval == 30


def test_the_published_debug_mode_loads_as_it_is(write):
    settings = load_settings(
        write(
            """
development:
  enable_debug_endpoints: true
  save_debug_outputs: true
  debug_output_dir: "./debug_outputs/"

unet:
  logging:
    level: "DEBUG"
    log_requests: true
    enable_performance_logging: true
"""
        )
    ).settings
    assert all(settings.development.model_dump().values())
    assert settings.unet.logging.model_dump() == {
        "level": "DEBUG",
        "log_requests": True,
        "enable_performance_logging": True,
    }


def test_the_published_variables_go_before_the_file(write, published, monkeypatch):
    for name, value in PUBLISHED_VARIABLES.items():
        monkeypatch.setenv(name, value)
    loaded = load_settings(write(published))
    unet = loaded.settings.unet
    assert (unet.model.device, unet.inference.batch_size, unet.memory.max_pool_size_gb) == ("cuda", 16, 8)
    assert unet.health.dummy_inference_test is False
    assert unet.health.startup_validation is True  # the rest of the section stays that of the file
    assert loaded.origins["unet.inference.batch_size"] == "environment UNET_INFERENCE_BATCH_SIZE"


def test_every_origin_is_told(write, monkeypatch):
    monkeypatch.setenv("UNET_MODEL_DEVICE", "cpu")
    path = write("unet:\n  inference:\n\n    threshold: 0.25\n")
    origins = load_settings(path).origins
    assert origins.pop("unet.model.device") == "environment UNET_MODEL_DEVICE"
    assert origins.pop("unet.inference.threshold") == f"{path}, line 4"
    assert set(origins.values()) == {"default"}


def test_what_is_handed_over_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("UNET_INFERENCE_BATCH_SIZE", "16")
    monkeypatch.setenv("UNET_INFERENCE_WINDOW", "128")
    inference = Settings(unet={"inference": {"batch_size": 2}}).unet.inference
    assert (inference.batch_size, inference.window) == (2, 128)


def test_without_a_file_the_defaults_are_in_force():
    loaded = load_settings()
    assert loaded.file is None
    assert loaded.settings == Settings()


def test_the_users_file_is_found(user_file):
    user_file.write_text("unet: {inference: {batch_size: 3}}")
    loaded = load_settings()
    assert (loaded.file, loaded.settings.unet.inference.batch_size) == (user_file, 3)


def test_a_variable_names_another_file(user_file, write, monkeypatch):
    user_file.write_text("unet: {inference: {batch_size: 3}}")
    monkeypatch.setenv("NAPARI_UNETSEG_CONFIG", str(write("unet: {inference: {batch_size: 5}}")))
    assert load_settings().settings.unet.inference.batch_size == 5


def test_a_path_goes_before_the_variable(write, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_UNETSEG_CONFIG", str(tmp_path / "missing.yaml"))
    assert load_settings(write("unet: {inference: {batch_size: 5}}")).settings.unet.inference.batch_size == 5
    with pytest.raises(ConfigError, match=r"missing\.yaml: the configuration cannot be read"):
        load_settings()


def test_paths_are_relative_to_the_file_and_to_the_working_folder(write, tmp_path, monkeypatch):
    path = write("unet: {model: {checkpoint_dir: ../weights/}}\ndevelopment: {debug_output_dir: ~/debug}")
    settings = load_settings(path).settings
    assert settings.unet.model.checkpoint_dir == tmp_path.parent / "weights"
    assert settings.development.debug_output_dir == Path.home() / "debug"
    monkeypatch.setenv("UNET_MODEL_CHECKPOINT_DIR", "weights")
    assert load_settings(path).settings.unet.model.checkpoint_dir == Path("weights")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("unet:\n  modl:\n    device: cpu", 2, "there is no key unet.modl. Did you mean model?"),
        ("unet:\n  model:\n    devise: cpu", 3, "there is no key unet.model.devise. Did you mean device?"),
        ("unet:\n  model:\n    batch_size: 4", 3, "It belongs into the section unet.inference."),
        ("unet:\n  model:\n    batchsize: 4", 3, "Did you mean unet.inference.batch_size?"),
        ("model:\n  device: cpu", 1, "there is no key model. There are unet, server, client, development."),
        ("3: 4", 1, "there is no key 3"),
        ("unet:\n  model: cpu", 2, "unet.model is a section and must hold keys, not 'cpu'"),
        ("- unet", 1, "must hold the section 'unet'"),
        ("unet:\n  model:\n    device: gpu", 3, "unet.model.device = 'gpu': input should be 'auto', 'cuda', 'mps' or"),
        ("unet:\n  inference:\n    batch_size: 0", 3, "unet.inference.batch_size = 0: input should be greater"),
        ("unet:\n  inference:\n    batch_size: 2.5", 3, "unet.inference.batch_size = 2.5"),
        ("unet:\n  inference:\n    batch_size: yes", 3, "a number is wanted, not yes or no"),
        ("unet:\n  inference:\n    threshold: 50", 3, "unet.inference.threshold = 50"),
        ("unet:\n  memory:\n    max_pool_size_gb: .inf", 3, "unet.memory.max_pool_size_gb = inf"),
        ("unet:\n  memory:\n    max_pool_size_gb: .nan", 3, "unet.memory.max_pool_size_gb = nan"),
        ("unet:\n  memory:\n    enable_gpu_pools: perhaps", 3, "unet.memory.enable_gpu_pools = 'perhaps'"),
        ("unet:\n  preprocessing:\n    image_size: [256]", 3, "unet.preprocessing.image_size"),
        ("unet:\n  preprocessing:\n    image_size:\n      - 256\n      - x", 3, "unet.preprocessing.image_size = 'x'"),
        ("unet:\n  preprocessing:\n    mean: [0.5]", 3, "mean and std belong together"),
        ("unet:\n  preprocessing:\n    mean: [0.5]\n    std: [0]", 4, "unet.preprocessing.std = 0"),
        ("unet:\n  preprocessing:\n    mean: [1, 1, 1]\n    std: [1]", 3, "as many numbers"),
        ("unet:\n  logging:\n    level: LOUD", 3, "unet.logging.level = 'LOUD'"),
        ("unet:\n  model:\n    device: cpu\n    device: cuda", 4, "unet.model.device stands in line 3 already"),
        ("unet:\n  model:\n   - device: [", 3, "this is not valid YAML"),
    ],
)
def test_a_fault_names_file_line_and_key(write, text, line, message):
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert f"{path}, line {line}" in str(caught.value)
    assert message in str(caught.value)


def test_all_faults_are_told_at_once(write, monkeypatch):
    monkeypatch.setenv("UNET_MODEL_DEVICE", "gpu")
    with pytest.raises(ConfigError) as caught:
        load_settings(write("unet:\n  models:\n  inference: {batch_size: 0}\n"))
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert any(line.startswith("environment UNET_MODEL_DEVICE: unet.model.device = 'gpu'") for line in lines)


@pytest.mark.parametrize("text", ["", "# nothing\n", "unet:\n", "unet:\n  model:\n  health:\n", "---\n...\n"])
def test_an_empty_file_or_section_says_nothing(write, text):
    assert load_settings(write(text)).settings == Settings()


def test_a_file_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes("unet: {model: {device: cpu}}".encode("utf-8-sig"))
    assert load_settings(path).settings.unet.model.device == "cpu"


def test_settings_cannot_be_changed_and_can_be_compared():
    settings = Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.unet.model.device = "cuda"
    assert hash(settings.unet) == hash(Settings().unet)
