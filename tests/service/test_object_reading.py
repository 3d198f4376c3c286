"""What is read off a map for the decision to look again is read off once."""

import shutil

import numpy as np
import pytest
import yaml

from napari_unetseg import Image, SegmentationService
from napari_unetseg.inference import rescale_decision
from napari_unetseg.postprocessing import decoding
from napari_unetseg.service import object_reading


@pytest.fixture(scope="module")
def unsure_model(bright_model, tmp_path_factory):
    """The bright model, which sees objects of 8 to 18 pixels well, and drops those of a mean below 0.8."""
    folder = shutil.copytree(bright_model, tmp_path_factory.mktemp("models") / "unsure")
    card = yaml.safe_load((bright_model / "model.yaml").read_text(encoding="utf-8"))
    card |= {"name": "unsure", "object_sizes": [8, 18], "parameters": card["parameters"] | {"min_confidence": 0.8}}
    (folder / "model.yaml").write_text(yaml.safe_dump(card))
    return folder


@pytest.fixture(scope="module")
def service(unsure_model):
    return SegmentationService(unsure_model, device="cpu")


@pytest.fixture
def decoded(monkeypatch):
    """Shapes of the maps off which objects were read."""
    shapes, decode = [], decoding._decode

    def counted(probability, *arguments):
        shapes.append(probability.shape[1:])
        return decode(probability, *arguments)

    monkeypatch.setattr(decoding, "_decode", counted)
    return shapes


def graded(discs):
    """Discs of 14 pixels, from dim to bright."""
    image = discs(14).astype(float)
    return (image * np.linspace(0.55, 1, image.shape[1])).astype(np.uint16)


def apart(service, image, **options):
    """What is found where the decision and the result each read objects off the map."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(object_reading, "is_seen_whole", lambda shape: False)
        return service.segment(image, **options)


def test_objects_are_read_off_once(service, discs, decoded):
    once = service.segment(graded(discs))
    assert decoded == [once.labels.shape]
    twice = apart(service, graded(discs))
    assert len(decoded) == 3
    assert once.labels.tobytes() == twice.labels.tobytes()


@pytest.mark.parametrize("least", [0, 0.6, 0.75, 0.97, 1])
def test_the_least_confidence_of_a_user_is_the_result_s_alone(service, discs, decoded, least):
    image = graded(discs)
    once = service.segment(image, min_confidence=least)
    assert len(decoded) == 1
    twice = apart(service, image, min_confidence=least)
    assert once.labels.tobytes() == twice.labels.tobytes()
    assert once.parameters == twice.parameters
    assert once.provenance.diameter == twice.provenance.diameter
    np.testing.assert_array_equal(once.labels, once.relabel().labels)


@pytest.mark.parametrize("changed", [{"threshold": 0.3}, {"min_size": 9}, {"split": 0.1}, {"fill_holes": False}])
def test_other_parameters_of_a_user_are_not_those_of_the_decision(service, discs, decoded, changed):
    once = service.segment(graded(discs), **changed)
    assert len(decoded) == 2
    assert once.labels.tobytes() == once.relabel().labels.tobytes()


def test_of_an_image_larger_than_the_decision_looks_at_the_middle_is_read_off_apart(
    service, discs, decoded, monkeypatch
):
    image = graded(discs)
    monkeypatch.setattr(rescale_decision, "MIDDLE_SIDE", image.shape[1] - 1)
    service.segment(image)
    assert decoded == [(image.shape[0] - 1, image.shape[1] - 1), image.shape]


def test_a_stack_is_decided_by_its_middle_plane_and_read_off_plane_by_plane(service, discs, decoded):
    service.segment(Image(np.stack([graded(discs)] * 3), "ZYX"))
    assert len(decoded) == 4


def test_what_is_looked_at_again_is_read_off_anew(service, discs, decoded):
    result = service.segment(discs(30))
    assert len(decoded) == 2
    assert result.provenance.diameter == pytest.approx(30, rel=0.05)


def test_where_memory_runs_out_for_the_last_step_the_map_is_read_off_again(service, discs, decoded, monkeypatch):
    expected = service.segment(graded(discs), min_confidence=0.9)
    sure, failures = decoding.FoundObjects.sure, iter([MemoryError()])

    def scarce(found, least):
        if error := next(failures, None):
            found._labels[:] = 0  # as it may be halfway
            raise error
        return sure(found, least)

    monkeypatch.setattr(decoding.FoundObjects, "sure", scarce)
    result = service.segment(graded(discs), min_confidence=0.9)
    assert len(decoded) == 3
    assert expected.count > 0
    np.testing.assert_array_equal(result.labels, expected.labels)
