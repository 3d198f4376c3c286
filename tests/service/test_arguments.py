"""Every argument of a wrong kind is an error of ours, on every verb, and no run that failed."""

from pathlib import Path

import numpy as np
import pytest

from napari_unetseg import SegmentationService
from napari_unetseg.errors import ParameterError, UnetsegError

IMAGE = np.zeros((32, 32), np.uint8)
NO_FUNCTIONS = (5, True, "", "x", ["a"], object())


@pytest.fixture
def service(bright_model: Path) -> SegmentationService:
    return SegmentationService(bright_model, device="cpu")


@pytest.mark.parametrize("wrong", [5, True, 1.5, "", b"bright", ["bright"], object()])
def test_a_model_is_a_name_or_a_path(service: SegmentationService, wrong: object) -> None:
    calls = (
        lambda: SegmentationService(wrong),
        lambda: service.with_model(wrong),
        lambda: service.segment(IMAGE, model=wrong),
        lambda: service.iter_batch([IMAGE], model=wrong),
        lambda: service.model_info(wrong),
        lambda: service.initialize(model=wrong),
        lambda: service.health(model=wrong),
    )
    for call in calls:
        with pytest.raises(ParameterError, match=r"^model = "):
            call()


@pytest.mark.parametrize("name", ["device", "backend", "precision"])
@pytest.mark.parametrize("wrong", [5, True, "", "gpu9", b"cpu", ["cpu"]])
def test_a_wrong_word_is_refused_also_where_it_is_empty(bright_model: Path, name: str, wrong: object) -> None:
    with pytest.raises(UnetsegError, match=f"There is no {name}"):
        SegmentationService(bright_model, **{"device": "cpu", name: wrong}).segment(IMAGE)


@pytest.mark.parametrize(("name", "wrong"), [("fallback_to_cpu", 1), ("fallback_to_cpu", "no"), ("settings", "a.yaml")])
def test_a_wrong_setting_of_a_service_is_named(bright_model: Path, name: str, wrong: object) -> None:
    with pytest.raises(ParameterError, match=f"^{name} = "):
        SegmentationService(bright_model, **{name: wrong})


@pytest.mark.parametrize("name", ["progress", "cancel", "on_stage"])
@pytest.mark.parametrize("wrong", NO_FUNCTIONS)
def test_what_cannot_be_called_is_refused_before_the_network_runs(
    service: SegmentationService, name: str, wrong: object
) -> None:
    for call in (service.segment, lambda image, **others: service.segment_batch([image], **others)):
        with pytest.raises(ParameterError, match=f"^{name} = "):
            call(IMAGE, **{name: wrong})
    assert not service.model_info().loaded


@pytest.mark.parametrize("wrong", [5, True, 1.5, "nuclei", "", b"nuclei", object()])
def test_the_models_to_try_are_a_list(service: SegmentationService, wrong: object) -> None:
    with pytest.raises(ParameterError, match=r"^models? = "):
        service.try_all(IMAGE, models=wrong)


@pytest.mark.parametrize("name", ["progress", "cancel"])
def test_trials_listen_to_functions_alone(service: SegmentationService, name: str) -> None:
    for wrong in NO_FUNCTIONS:
        with pytest.raises(ParameterError, match=f"^{name} = "):
            service.try_all(IMAGE, **{name: wrong})


def test_relabelling_listens_to_functions_alone(service: SegmentationService) -> None:
    result = service.segment(IMAGE)
    with pytest.raises(ParameterError, match=r"^cancel = "):
        result.relabel(cancel=True)


@pytest.mark.parametrize("wrong", [None, 5, "folder", b"folder", Path("folder"), IMAGE, np.float32(1)])
def test_several_images_are_a_list(service: SegmentationService, wrong: object) -> None:
    for call in (service.segment_batch, service.iter_batch, service.calibrate):
        with pytest.raises(ParameterError, match=r"^images: give a list"):
            call(wrong)


def test_a_stack_of_planes_is_taken_as_several_images(service: SegmentationService) -> None:
    assert len(service.segment_batch(np.zeros((3, 32, 32), np.uint8))) == 3


@pytest.mark.parametrize("wrong", [None, 5, "a.tif", [1, 2], [[1], [1, 2]], [["a"]], {}, object()])
def test_what_is_no_image_is_an_error_of_ours(service: SegmentationService, wrong: object) -> None:
    with pytest.raises(UnetsegError, match=r"^image: "):
        service.segment(wrong)


@pytest.mark.parametrize("mistyped", [{"treshold": 0.5}, {"threshold": 2}, {"diameter": -3.0}, {"augment": "yes"}])
def test_a_mistyped_option_is_no_run_that_failed(service: SegmentationService, mistyped: dict[str, object]) -> None:
    service.segment(IMAGE)
    before = service.health()
    with pytest.raises(ParameterError):
        service.segment(IMAGE, **mistyped)
    after = service.health()
    assert after.last_error is before.last_error is None
    assert (after.performance.runs, after.performance.failures) == (1, 0)


@pytest.mark.parametrize("also", ["contours", ("outlines",), 3, None])
def test_parts_that_there_are_not_are_refused(service: SegmentationService, also: object) -> None:
    for call in (service.segment_batch, service.iter_batch):
        with pytest.raises(ParameterError, match=r"^also = .*contours, measurements, confidence"):
            call([IMAGE], also=also)
