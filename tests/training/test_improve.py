"""Improving a small model of bright discs on dark ones."""

from pathlib import Path

import numpy as np
import pytest
from tests.training.conftest import draw_discs

from napari_unetseg.image import Image
from napari_unetseg.samples import spheroids_with_truth
from napari_unetseg.service import SegmentationService
from napari_unetseg.training import improvement as module
from napari_unetseg.training.corrected_images import CorrectedImage
from napari_unetseg.training.corrected_regions import find_regions
from napari_unetseg.training.holding_back import plan_stages
from napari_unetseg.training.improve import ImproveError, improve
from napari_unetseg.training.progress_events import Begun, Finished, Stepped, Told, TrainingEvent, Validated
from napari_unetseg.training.scores import dice_score
from napari_unetseg.zoo.registry import ModelPackage, find_model, read_package

SIDE = 128


class KilledError(Exception):
    """Stands for a kill in the middle of a run."""


def dark_discs(seed: int) -> tuple[Image, np.ndarray]:
    """Draw discs as the bundled model has never seen any: dark holes in a bright, striped ground."""
    rng = np.random.default_rng(seed)
    labels = draw_discs(rng, SIDE // 2, count=9).repeat(2, 0).repeat(2, 1)
    stripes = 120 + 60 * np.sin(np.arange(SIDE) / 2)
    grey = np.where(labels > 0, 60, stripes) + rng.normal(0, 4, labels.shape)
    return Image(grey.clip(0, 255).astype(np.uint8), name=f"dark{seed}"), labels


def corrected(*seeds: int) -> list[CorrectedImage]:
    return [CorrectedImage(image.name, image, labels) for image, labels in map(dark_discs, seeds)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep little of what is known, and learn from small crops."""
    monkeypatch.setattr("napari_unetseg.training.replay.PICTURES", (spheroids_with_truth,))
    monkeypatch.setattr("napari_unetseg.training.replay.POOL", (8, 4))
    monkeypatch.setattr("napari_unetseg.training.replay.EXAM", (6, 2))
    monkeypatch.setattr("napari_unetseg.training.lessons.CROP", 64)
    monkeypatch.setattr("napari_unetseg.training.lessons.LARGE_CROP", 64)


@pytest.fixture(scope="module")
def spheroids() -> ModelPackage:
    """The smallest of the bundled models."""
    return find_model("spheroids")


def run(
    package: ModelPackage, images: list[CorrectedImage], folder: Path, steps: int = 6, **options: object
) -> list[TrainingEvent]:
    events: list[TrainingEvent] = []
    report = options.pop("report", events.append)
    improve(
        package,
        images,
        folder / "better",
        folder / "run",
        minutes=60,
        steps=steps,
        device="cpu",
        report=report,
        **options,
    )
    return events


def test_a_model_learns_what_it_did_not_know_and_keeps_the_old_package(spheroids: ModelPackage, tmp_path: Path) -> None:
    before = spheroids.weights.read_bytes()
    events = run(spheroids, corrected(1, 2, 3, 4, 5), tmp_path, steps=40)
    unseen, labels = dark_discs(9)
    with SegmentationService(spheroids.name, "cpu") as old, SegmentationService(tmp_path / "better", "cpu") as new:
        known, learnt = (dice_score(one.segment(unseen).labels > 0, labels > 0) for one in (old, new))
    assert learnt > known + 0.2
    assert spheroids.weights.read_bytes() == before
    done = events[-1]
    assert isinstance(done, Finished)
    assert done.after["dice"] > done.before["dice"]
    card = read_package(tmp_path / "better", "path").card
    assert card.scores["before"] == done.before
    assert card.scores["after"] == done.after
    assert "1 corrected regions held back" in card.scores["split"]
    assert card.scores["improved"]["regions_learnt_from"] == 4
    assert card.name == "better"
    assert card.display_name == "Spheroids, improved on dark1, dark2 and 3 more"
    assert card.training_data[-1].images == 5
    assert card.training_data[:-1] == spheroids.card.training_data
    assert not (tmp_path / "run" / module.RUN_FILE).exists()


def test_events_tell_what_happens_from_the_first_step_on(spheroids: ModelPackage, tmp_path: Path) -> None:
    events = run(spheroids, corrected(1, 2), tmp_path, preview=dark_discs(1)[0])
    first, *_, last = events
    assert isinstance(first, Begun)
    assert (first.images, first.held_out, first.metric, first.resumed) == (2, 0, "dice", False)
    assert isinstance(last, Finished)
    validations = [event for event in events if isinstance(event, Validated)]
    assert validations
    for one in validations:
        assert one.preview is not None
        assert np.load(one.preview).shape == (SIDE, SIDE)
    best = [first.before, *(one.score for one in validations if one.best)]
    assert best == sorted(best)
    assert any(isinstance(event, Stepped) and event.step == 1 for event in events)
    told = [event.text for event in events if isinstance(event, Told)]
    assert [text for text in told if "to score part" in text]


def test_fewer_than_four_regions_are_scored_by_models_that_learned_from_the_others(
    spheroids: ModelPackage, tmp_path: Path
) -> None:
    run(spheroids, corrected(1, 2, 3), tmp_path)
    assert "learned from the others" in read_package(tmp_path / "better", "path").card.scores["split"]


def test_of_one_region_each_half_is_scored(spheroids: ModelPackage) -> None:
    (region,) = find_regions(corrected(1), spheroids.card)
    main, first, second = plan_stages([region])
    assert main.learnt == main.scored == (region,)
    assert first.learnt == second.scored
    assert first.scored == second.learnt
    assert first.scored != first.learnt


def test_many_regions_hold_back_some_that_are_never_learnt(spheroids: ModelPackage) -> None:
    regions = find_regions(corrected(*range(10)), spheroids.card)
    (stage,) = plan_stages(regions)
    assert len(stage.scored) == 2
    assert not {id(region) for region in stage.learnt} & {id(region) for region in stage.scored}
    assert len(stage.learnt) == 8


def test_weights_that_are_no_better_on_what_was_corrected_are_not_taken(
    spheroids: ModelPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks: list[object] = []

    def worse_after(network: object, *arguments: object) -> dict[str, float]:
        networks.append(network)
        score = 0.5 if network is networks[0] else 0.4
        return {"ap50": score, "dice": score}

    monkeypatch.setattr(module, "score_regions", worse_after)
    events = run(spheroids, corrected(1, 2), tmp_path)
    told = [event.text for event in events if isinstance(event, Told)]
    assert any("has the weights of the old one" in text for text in told)
    card = read_package(tmp_path / "better", "path").card
    assert card.scores["improved"]["old_weights_kept"]
    assert card.scores["after"] == card.scores["before"]
    assert card.weights.sha256 == spheroids.card.weights.sha256


def test_what_makes_a_model_forget_is_not_taken(
    spheroids: ModelPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "agreement", lambda *arguments: 0.5)
    events = run(spheroids, corrected(1, 2, 3, 4, 5), tmp_path, steps=40)
    assert any("forget" in event.text for event in events if isinstance(event, Told))
    assert read_package(tmp_path / "better", "path").card.weights.sha256 == spheroids.card.weights.sha256


def test_a_killed_run_goes_on_to_the_same_weights(spheroids: ModelPackage, tmp_path: Path) -> None:
    images = corrected(1, 2)
    run(spheroids, images, tmp_path / "whole")

    def die(event: TrainingEvent) -> None:
        if isinstance(event, Validated):
            raise KilledError

    with pytest.raises(KilledError):
        run(spheroids, images, tmp_path / "killed", report=die)
    assert not (tmp_path / "killed" / "better").exists()
    events = run(spheroids, images, tmp_path / "killed")
    assert events[0].resumed
    weights = [read_package(tmp_path / name / "better", "path").card.weights.sha256 for name in ("whole", "killed")]
    assert weights[0] == weights[1]


def test_another_correction_does_not_go_on_from_a_checkpoint(spheroids: ModelPackage, tmp_path: Path) -> None:
    def die(event: TrainingEvent) -> None:
        if isinstance(event, Validated):
            raise KilledError

    with pytest.raises(KilledError):
        run(spheroids, corrected(1, 2), tmp_path, report=die)
    events = run(spheroids, corrected(1, 3), tmp_path)
    assert not events[0].resumed


def test_a_stop_keeps_the_best_so_far(spheroids: ModelPackage, tmp_path: Path) -> None:
    asked = iter([False] * 30)
    events = run(spheroids, corrected(1, 2), tmp_path, steps=10_000, stop=lambda: next(asked, True))
    done = events[-1]
    assert isinstance(done, Finished)
    assert done.stopped
    scores = read_package(tmp_path / "better", "path").card.scores
    assert scores["improved"]["stopped_early"]
    assert "stopped before others were scored" in scores["split"]
    assert scores["after"]["dice"] >= scores["before"]["dice"]


def test_what_cannot_be_improved_is_refused(spheroids: ModelPackage, tmp_path: Path) -> None:
    stretched = spheroids.card.model_copy(update={"image_size": (64, 64)})
    with pytest.raises(ImproveError, match="sees every image at 64 x 64"):
        run(ModelPackage(spheroids.path, stretched, "path"), corrected(1), tmp_path)


def test_a_model_that_is_not_damaged_by_an_empty_region(spheroids: ModelPackage, tmp_path: Path) -> None:
    image, _ = dark_discs(1)
    empty = CorrectedImage("empty", image, np.zeros((SIDE, SIDE), np.int32))
    events = run(spheroids, [empty], tmp_path, steps=30)
    with SegmentationService(tmp_path / "better", "cpu") as service:
        assert service.segment(image).count == 0
    assert isinstance(events[-1], Finished)
