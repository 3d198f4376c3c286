"""Every model is tried on a piece of an image, and on each of its channels."""

import numpy as np
import pytest

from napari_unetseg import Image, SegmentationService, samples
from napari_unetseg.errors import Cancelled, ComputerGone, ImageError, ModelError
from napari_unetseg.image import TRIAL_SIDE
from napari_unetseg.postprocessing.fit import Fit
from napari_unetseg.service import best_first
from napari_unetseg.service.trials import ModelTrial, Piece, pieces_of, run_trials
from napari_unetseg.zoo.registry import read_package


@pytest.fixture
def service(bright_model):
    with SegmentationService(bright_model, "cpu") as service:
        yield service


@pytest.fixture
def models(bright_model, dark_model):
    return [bright_model, dark_model]


def found(trials):
    return [(trial.package.name, trial.piece.channel, trial.count) for trial in trials]


def test_every_model_on_every_channel_and_each_model_once_in_a_row(service, models, squares):
    image = Image(np.stack([np.zeros_like(squares), squares]), "CYX")
    trials = list(service.try_all(image, models=models))
    assert [(trial.package.name, trial.piece.channel) for trial in trials] == [
        (name, channel) for name in ("bright", "dark") for channel in (0, 1)
    ]
    assert found(trials)[1] == ("bright", 1, 3)


def test_a_model_of_several_channels_gets_them_by_role(service, two_inputs_model, bright_model, squares):
    pixels = np.stack([squares * 0, squares])
    image = Image(pixels, "CYX", channels=("Cytoplasm", "nucleus"))
    counts = []
    trials = list(
        service.try_all(image, models=[bright_model, two_inputs_model], progress=lambda *at: counts.append(at))
    )
    assert found(trials) == [("bright", 0, 0), ("bright", 1, 3), ("pair", None, 3)]
    assert counts[-1] == (3, 3)
    (refused,) = service.try_all(Image(np.stack([squares] * 3), "CYX"), models=[two_inputs_model])
    assert "nucleus, cytoplasm" in str(refused.error)


def test_a_trial_is_what_segment_gives(service, models, squares):
    (trial, _) = service.try_all(squares, models=models)
    result = service.segment(squares)
    np.testing.assert_array_equal(trial.labels, result.labels)
    assert trial.confidence == result.confidence.mask_mean
    assert trial.fit == result.fit


@pytest.mark.parametrize(
    ("image", "channels"),
    [
        (Image(np.zeros((30, 40)), "YX"), [None]),
        (Image(np.zeros((30, 40, 3), np.uint8), "YXC", rgb=True), [None]),
        (Image(np.zeros((30, 40, 2)), "YXC"), [0, 1]),
        (Image(np.zeros((3, 30, 40)), "CYX"), [0, 1, 2]),
        (Image(np.zeros((5, 2, 4, 30, 40)), "TCZYX"), [0, 1]),
        (Image(np.zeros((4, 30, 40, 3), np.uint8), "ZYXC", rgb=True), [None]),
    ],
)
def test_channels_are_tried_one_by_one_and_colours_together(image, channels):
    pieces = pieces_of(image)
    assert [piece.channel for piece in pieces] == channels
    assert all(piece.image.shape == (30, 40) and not piece.image.stack_axes for piece in pieces)
    assert all(("C" in piece.image.axes) == image.rgb for piece in pieces)


def test_the_middle_of_a_large_image_is_taken_and_the_middle_plane_of_a_stack():
    stack = np.zeros((3, TRIAL_SIDE + 20, TRIAL_SIDE - 2), np.float32)
    stack[1, 10:-10] = 7
    (piece,) = pieces_of(Image(stack, "ZYX", scale=(0.5, 0.5), unit="micrometer"))
    assert piece.image.shape == (TRIAL_SIDE, TRIAL_SIDE - 2)
    assert (piece.image.array == 7).all()
    assert piece.image.scale == (0.5, 0.5)


def test_only_the_piece_is_read():
    class Watched:
        shape, dtype, ndim, size = (4000, 3000), np.dtype(np.uint8), 2, 12_000_000

        def __init__(self):
            self.read = []

        def __array_function__(self): ...

        def __getitem__(self, key):
            self.read.append(key)
            return np.zeros([at.stop - at.start for at in key], np.uint8)

    watched = Watched()
    pieces_of(Image(watched, "YX"))
    assert watched.read == [(slice(1744, 2256), slice(1244, 1756))]


def test_a_model_that_fails_says_why_and_the_others_go_on(service, bright_model, dark_model, tmp_path, squares):
    import shutil

    broken = shutil.copytree(dark_model, tmp_path / "broken")
    (broken / "weights.safetensors").write_bytes(b"no weights")
    first, second = service.try_all(squares, models=[broken, bright_model])
    assert (first.count, first.labels) == (0, None)
    assert isinstance(first.error, ModelError)
    assert second.count == 3


def test_where_the_server_is_gone_no_other_model_is_tried(models, squares):
    asked = []

    def segment(image, *, model, cancel):
        asked.append(model)
        raise ComputerGone("http://lab:8001: nothing answers.")

    packages = [read_package(model, "path") for model in models]
    with pytest.raises(ComputerGone, match="nothing answers"):
        list(run_trials(segment, packages, pieces_of(Image(squares, "YX"))))
    assert len(asked) == 1


def test_usable_models_are_tried_where_none_is_named(service, squares, monkeypatch, dark_model):
    from napari_unetseg.service import packages as module

    monkeypatch.setattr(module, "usable_models", lambda: [read_package(dark_model, "user")])
    assert [trial.package.name for trial in service.try_all(squares)] == ["dark"]


def test_progress_counts_trials(service, models, squares):
    told = []
    list(service.try_all(squares, models=models, progress=lambda *counts: told.append(counts)))
    assert told == [(1, 2), (2, 2)]


def test_cancel_ends_the_trials_and_keeps_what_was_given_out(service, models, squares):
    given = []
    trials = service.try_all(squares, models=models, cancel=lambda: bool(given))
    given.append(next(trials))
    with pytest.raises(Cancelled):
        next(trials)
    assert found(given) == [("bright", None, 3)]


def test_what_is_no_image_and_no_model_is_refused_in_words(service, squares):
    with pytest.raises(ImageError):
        list(service.try_all(np.zeros((0, 4))))
    with pytest.raises(ModelError):
        list(service.try_all(squares, models=["no such model"]))


def test_the_best_fit_comes_first_then_what_found_nothing_then_what_failed(package):
    piece, one = Piece(Image(np.zeros((4, 4)))), np.ones((4, 4), np.int32)
    good, poor = (ModelTrial(package, piece, one, 0.9, Fit(doubt, 0.0)) for doubt in (0.1, 0.5))
    empty = ModelTrial(package, piece, one * 0, None, Fit(0.0, 0.0))
    failed = ModelTrial(package, piece, error=ModelError("no"))
    assert best_first([failed, empty, poor, good]) == [good, poor, empty, failed]


@pytest.fixture
def package(bright_model):
    return read_package(bright_model, "path")


def test_a_result_says_how_well_the_image_fits_and_warns_where_it_does_not(service, squares):
    # The model says sigmoid(20 x - 10) of an intensity x of 0..1, which is 0.6 at 0.52: 0.4 are missing, twice.
    result = service.segment(squares)
    assert result.fit.score > 0.95
    assert not any("unlike" in warning for warning in result.warnings)
    faint = np.zeros((60, 80), np.float32)
    faint[5:45, 5:65] = 0.52
    faint[50, 70] = 1
    result = service.segment(faint)
    assert result.fit.score == pytest.approx(0.2, abs=0.02)
    assert result.fit.is_unlike
    assert result.warnings[0].startswith("The image looks unlike what Bright objects knows")


def test_a_slider_changes_nothing_of_the_fit(service, squares):
    result = service.segment(squares)
    assert service.segment(squares, threshold=0.9, min_size=90).fit == result.fit
    assert result.relabel(min_size=90).fit == result.fit


def test_bundled_models_know_their_own_samples():
    with SegmentationService("nuclei", "cpu") as service:
        for image in (samples.nuclei(), samples.tissue()):
            trials = best_first(service.try_all(image, models=["cells", "nuclei"]))
            assert [trial.package.name for trial in trials] == ["nuclei", "cells"]
            assert [trial.fit.is_unlike for trial in trials] == [False, True]
