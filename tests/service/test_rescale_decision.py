"""A model that names the sizes it sees well is shown an image again where a first look finds others."""

import shutil

import numpy as np
import pytest
import yaml

from napari_unetseg import Image, SegmentationService
from napari_unetseg.errors import Cancelled, ModelError
from napari_unetseg.service.forecast import Workload
from napari_unetseg.zoo.card import read_card


@pytest.fixture(scope="module")
def choosy_model(bright_model, tmp_path_factory):
    """The bright model, which expects objects of 12 pixels, and sees those of 8 to 18 well."""
    folder = shutil.copytree(bright_model, tmp_path_factory.mktemp("models") / "choosy")
    card = yaml.safe_load((bright_model / "model.yaml").read_text(encoding="utf-8"))
    (folder / "model.yaml").write_text(yaml.safe_dump(card | {"name": "choosy", "object_sizes": [8, 18]}))
    return folder


@pytest.fixture(scope="module")
def choosy(choosy_model):
    return SegmentationService(choosy_model, device="cpu")


def test_objects_of_another_size_are_looked_at_again_at_the_size_of_the_model(choosy, discs):
    result = choosy.segment(discs(30))
    found = result.provenance.diameter
    assert found == pytest.approx(30, rel=0.05)
    assert result.provenance.resized_to == tuple(round(180 * 12 / found) for _ in range(2))
    assert result.labels.shape == (180, 180)
    assert any(f"{found:.3g} px wide" in warning and "diameter of 12 px" in warning for warning in result.warnings)


def test_the_diameter_that_was_found_gives_the_same_result_again(choosy, discs):
    result = choosy.segment(discs(30))
    again = choosy.segment(discs(30), diameter=result.provenance.diameter)
    assert result.probability.tobytes() == again.probability.tobytes()
    assert not any("px wide" in warning for warning in again.warnings)


@pytest.mark.parametrize("options", [{}, {"diameter": 12}])
def test_what_the_model_sees_well_and_what_a_user_sized_is_looked_at_once(choosy, discs, bright_model, options):
    image = discs(30 if options else 14)
    result = choosy.segment(image, **options)
    plain = SegmentationService(bright_model, device="cpu").segment(image)
    assert result.labels.tobytes() == plain.labels.tobytes()
    assert result.provenance.resized_to is None
    assert result.provenance.diameter == options.get("diameter")


def test_specks_do_not_decide_the_size(choosy, discs):
    image = discs(14)
    for row, column in np.ndindex(3, 6):
        image[28 * row : 28 * row + 2, 14 * column : 14 * column + 3] = image.max()
    assert np.median(np.bincount(choosy.segment(image).labels.ravel())[1:]) == 6
    assert choosy.segment(image).provenance.diameter is None


def test_one_object_says_nothing_of_the_size_of_objects(choosy, discs):
    assert choosy.segment(discs(30, per_side=1)).provenance.diameter is None


def test_sliders_do_not_change_the_size_at_which_an_image_is_seen(choosy, discs):
    assert choosy.segment(discs(30), min_size=5000).provenance.diameter == choosy.segment(discs(30)).provenance.diameter


def test_dirt_far_off_does_not_blow_an_image_up(choosy, discs):
    assert choosy.segment(discs(200, per_side=2)).provenance.diameter == 4 * 12


def test_a_batch_gives_what_each_image_gives_alone(choosy, discs):
    images = [discs(14), discs(30)]
    together = choosy.segment_batch(images)
    for image, result in zip(images, together, strict=True):
        alone = choosy.segment(image)
        assert result.labels.tobytes() == alone.labels.tobytes()
        assert result.provenance.diameter == alone.provenance.diameter


def test_all_planes_of_a_stack_are_seen_at_the_size_of_its_middle_plane(choosy, discs):
    result = choosy.segment(Image(np.stack([np.zeros((180, 180), np.uint16), discs(30), discs(30)]), "ZYX"))
    assert result.provenance.diameter == pytest.approx(30, rel=0.05)
    assert result.labels[0].max() == 0
    assert [plane.max() for plane in result.labels[1:]] == [9, 18]


@pytest.mark.parametrize("augment", [False, True])
def test_progress_goes_on_to_the_end_of_the_second_look(choosy, discs, augment):
    reported = []
    choosy.segment(discs(30), augment=augment, progress=lambda done, total: reported.append((done, total)))
    assert [done for done, _ in reported] == sorted(done for done, _ in reported)
    assert reported[-1][0] == reported[-1][1] == (16 if augment else 2)


def test_a_forecast_counts_both_looks_of_the_runs_before(choosy_model, discs):
    service = SegmentationService(choosy_model, device="cpu")
    taken = service.segment(discs(30)).provenance.seconds
    reported = service.forecast(Workload((180, 180)))
    assert reported.basis == "runs"
    # One look at 180 pixels a side, after one there and one at 72.
    assert reported.seconds == pytest.approx(taken * 180**2 / (180**2 + 72**2), rel=0.05, abs=0.001)


def test_the_second_look_can_be_cancelled(choosy, discs):
    looks = []
    with pytest.raises(Cancelled):
        choosy.segment(discs(30), progress=lambda *_: looks.append(1), cancel=lambda: bool(looks))


@pytest.mark.parametrize("sizes", [[20, 40], [8, 10]])
def test_a_card_names_its_own_size_among_those_it_sees_well(choosy_model, tmp_path, sizes):
    card = yaml.safe_load((choosy_model / "model.yaml").read_text(encoding="utf-8"))
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(card | {"object_sizes": sizes}))
    with pytest.raises(ModelError, match="object_sizes"):
        read_card(tmp_path / "model.yaml")
