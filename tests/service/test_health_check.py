"""A health check sees weights that are no longer what they were."""

import numpy as np
import pytest
import torch

from napari_unetseg import Image, SegmentationService
from napari_unetseg.errors import ModelError
from napari_unetseg.service.health_check import ANSWER_TOLERANCE
from napari_unetseg.zoo.card import KNOWN_ANSWER_FILE


def weights_of(service: SegmentationService) -> list[torch.Tensor]:
    (loaded_model,) = service._models.loaded_models
    network = loaded_model.backend._network
    return [tensor for tensor in (*network.parameters(), *network.buffers()) if tensor.is_floating_point()]


def fill(service: SegmentationService, value: float) -> None:
    with torch.no_grad():
        for tensor in weights_of(service):
            tensor.fill_(value)


@pytest.fixture(params=["package", "answered package", "checkpoint"])
def source(request, bright_model, answered_model, published_checkpoint, tmp_path):
    if request.param == "checkpoint":
        published_checkpoint(tmp_path / "best.pth")
        return tmp_path / "best.pth"
    return bright_model if request.param == "package" else answered_model


def test_a_sound_model_is_healthy(source):
    health = SegmentationService(source, "cpu").health()
    assert health.problems == ()
    assert health.service_healthy
    assert health.dummy_inference_ms > 0


@pytest.mark.parametrize(("value", "words"), [(float("nan"), "not numbers"), (0.0, "the same value everywhere")])
def test_killed_weights_are_unhealthy_until_they_are_read_again(source, value, words):
    service = SegmentationService(source, "cpu")
    assert service.health().service_healthy
    fill(service, value)
    health = service.health()
    assert not health.service_healthy
    assert words in health.problems[0]
    assert not service.health(dummy_inference=False).service_healthy
    service.initialize(force_reload=True)
    assert service.health(dummy_inference=False).service_healthy


def test_the_known_answer_is_met(answered_model):
    health = SegmentationService(answered_model, "cpu").health()
    assert health.known_answer.passed
    assert health.known_answer.max_difference < 1e-4


def test_weights_that_are_merely_wrong_are_found_by_the_known_answer_alone(answered_model, settings):
    service = SegmentationService(answered_model, "cpu")
    service.initialize()
    with torch.no_grad():
        for tensor in weights_of(service):
            tensor *= 0.9
    health = service.health()
    assert not health.service_healthy
    assert "no longer gives the answer" in health.problems[0]
    assert ANSWER_TOLERANCE["float32"] < health.known_answer.max_difference <= 1
    assert not health.known_answer.passed


def test_the_arithmetic_of_other_devices_passes(answered_model):
    service = SegmentationService(answered_model, "cpu")
    service.initialize()
    with torch.no_grad():
        for tensor in weights_of(service):
            tensor.copy_(tensor.bfloat16())
    assert service.health().service_healthy


def test_the_bundled_model_meets_its_answer():
    health = SegmentationService("nuclei", "cpu").health()
    assert health.service_healthy
    assert health.known_answer.max_difference < 0.01


def test_onnxruntime_gives_the_known_answer_too(answered_model):
    health = SegmentationService(answered_model, "cpu", "onnxruntime").health()
    assert health.known_answer.passed
    assert health.backend == "onnxruntime"


def test_what_the_settings_switch_off_is_not_checked(answered_model, settings):
    reported = SegmentationService(answered_model, settings=settings(health__known_answer_test=False)).health()
    assert (reported.service_healthy, reported.known_answer) == (True, None)
    service = SegmentationService(answered_model, settings=settings(health__dummy_inference_test=False))
    service.initialize()
    fill(service, 0)
    reported = service.health()
    assert (reported.service_healthy, reported.dummy_inference_ms, reported.last_health_check) == (True, None, None)


def test_a_model_that_fails_its_check_is_not_loaded(answered_model, dark_model, settings):
    replaced = (dark_model / "weights.safetensors").read_bytes()
    (answered_model / "weights.safetensors").write_bytes(replaced)
    card = (dark_model / "model.yaml").read_text(encoding="utf-8")
    (answered_model / "model.yaml").write_text(card, encoding="utf-8")
    with pytest.raises(ModelError, match="belongs to other weights"):
        SegmentationService(answered_model, "cpu").initialize()
    health = SegmentationService(answered_model, "cpu").health()
    assert (health.service_healthy, health.model_loaded) == (False, False)
    lenient = SegmentationService(answered_model, settings=settings(health__startup_validation=False))
    assert lenient.initialize(warm_up=False).success
    assert not lenient.health().service_healthy


def test_a_failed_check_keeps_the_model_that_was_loaded(answered_model, squares):
    service = SegmentationService(answered_model, "cpu")
    before = service.segment(squares)
    (answered_model / KNOWN_ANSWER_FILE).write_bytes(b"nothing")
    with pytest.raises(ModelError, match=KNOWN_ANSWER_FILE):
        service.initialize(force_reload=True)
    np.testing.assert_array_equal(service.segment(squares).labels, before.labels)


def test_a_slow_inference_warns_with_advice(bright_model, squares, settings, caplog):
    service = SegmentationService(bright_model, settings=settings(health__slow_inference_ms=1e-3))
    result = service.segment(Image(squares, name="squares.tif"))
    (reported,) = service.health(dummy_inference=False).warnings
    assert "Check GPU utilization and the model variant; use the lightweight variant for speed." in reported
    assert result.warnings == (reported,)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [reported]
    patient = SegmentationService(bright_model, settings=settings(health__slow_inference_ms=1e6))
    assert patient.segment(squares).warnings == ()
    assert patient.health(dummy_inference=False).warnings == ()
