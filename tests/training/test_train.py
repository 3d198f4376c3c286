import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch

from napari_unetseg.errors import Cancelled, OutOfMemory, UnetsegError
from napari_unetseg.io import read_image, read_label_image
from napari_unetseg.networks import build
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.service import SegmentationService
from napari_unetseg.training.cross_validation_file import CrossValidation, hash_recipe
from napari_unetseg.training.dataset import find_pairs, load_samples
from napari_unetseg.training.loop import fit, predict_maps, stalled
from napari_unetseg.training.progress_events import Begun, Finished, Stepped, Told, TrainingEvent, Validated
from napari_unetseg.training.scores import dice_score
from napari_unetseg.training.state import (
    BEST_FILE,
    EARLIER_FOLDER,
    LAST_FILE,
    CheckpointError,
    TrainingState,
    initial_state,
    network_arguments,
    update_average,
)
from napari_unetseg.training.train import CURVES_FILE, RECIPE_FILE, VALIDATION_FILE, train
from napari_unetseg.training.training_recipe import Augmentation, TrainingRecipe, read_training_recipe
from napari_unetseg.zoo.card import CARD_FILE, read_card
from napari_unetseg.zoo.cross_validated import CrossValidated, Figures
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import read_package

CPU = torch.device("cpu")


class KilledError(Exception):
    """Stands for a kill in the middle of a run."""


def test_trains_a_model_that_finds_discs(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> None:
    steady = Augmentation(scale=(0.9, 1.1), invert=0, gamma=0)
    changes = {
        "steps": 240,
        "validate_every": 80,
        "learning_rate": 0.01,
        "warm_up": 1,
        "batch": 4,
        "features": (8, 16, 16),
    }
    longer = recipe.model_copy(update={**changes, "augmentation": steady})
    output, checkpoints = tmp_path / "model", tmp_path / "checkpoints"
    events: list[TrainingEvent] = []
    shown: list[np.ndarray] = []

    def watch(event: TrainingEvent) -> None:
        events.append(event)
        if isinstance(event, Validated) and event.preview is not None:
            shown.append(np.load(event.preview))

    image = read_image(dataset / "images" / "field0.png")
    card = train(dataset, output, checkpoints, longer, device="cpu", preview=image, report=watch)

    assert card == read_card(output / CARD_FILE)
    assert card.scores["validation"]["dice"] > 0.8
    assert set(card.scores["validation"]["per_kind"]) == {"bright", "dark"}
    held = (output / VALIDATION_FILE).read_text().split()
    assert len(held) == card.scores["validation"]["images"] == 8 - card.training_data[0].images
    assert read_training_recipe(output / RECIPE_FILE) == longer
    assert (checkpoints / CURVES_FILE).read_bytes().startswith(b"\x89PNG")

    (begun,) = (event for event in events if isinstance(event, Begun))
    assert (begun.images, begun.held_out, begun.resumed) == (card.training_data[0].images, len(held), False)
    validated = [event for event in events if isinstance(event, Validated)]
    assert [event.step for event in validated] == [80, 160, 240]
    assert validated[0].best
    steps = [event for event in events if isinstance(event, Stepped)]
    assert steps
    assert all(0 < event.progress <= 1 and np.isfinite(event.loss) for event in steps)
    assert isinstance(events[-1], Finished)
    assert events[-1].model == output
    assert events[-1].after["dice"] == card.scores["validation"]["dice"]
    assert not events[-1].stopped

    result = SegmentationService(output, "cpu").segment(image)
    truth = read_image(dataset / "masks" / "field0.png").array
    assert [labels.dtype for labels in shown] == 3 * [np.dtype(np.int32)]
    assert dice_score(shown[-1] > 0, truth > 0) > 0.8
    assert abs(result.count - len(np.unique(truth[truth > 0]))) <= 1


class Bright(torch.nn.Module):
    """Finds all that is bright, and remembers the sizes of the images it saw."""

    depth = 2

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.seen.append(tuple(pixels.shape[2:]))
        return (40 * pixels[:, :1] - 20).repeat(1, 3, 1, 1)


@pytest.mark.parametrize(("width", "again"), [(12, []), (24, [(40, 32)]), (6, [(160, 128)])])
def test_held_out_images_are_seen_at_the_size_at_which_they_will_be_segmented(
    recipe: TrainingRecipe, width: int, again: list[tuple[int, int]]
) -> None:
    pixels = torch.zeros(1, 80, 64)
    pixels[0, 20 : 20 + width, 4 : 4 + width] = pixels[0, 20 : 20 + width, 36 : 36 + width] = 1
    best = round(12 * 2 / np.pi**0.5, 1)  # width of the disc as large as a square of 12 pixels
    knowing = recipe.model_copy(update={"object_size": best, "object_sizes": (0.7 * best, 1.4 * best)})
    network = Bright()
    maps = predict_maps(network, pixels, knowing, CPU)
    assert network.seen == [(80, 64), *again]
    assert maps.shape == (2, 80, 64)
    assert np.array_equal(maps[0] > 0.5, pixels[0] > 0.5)


def test_a_recipe_gives_the_card_its_sizes(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> None:
    sized = recipe.model_copy(update={"object_size": 20.0, "object_sizes": (12.0, 40.0)})
    card = train(dataset, tmp_path / "model", tmp_path / "checkpoints", sized, device="cpu")
    assert (card.object_size, card.object_sizes) == (20.0, (12.0, 40.0))
    assert card.scores["validation"]["images"] == 2


def test_a_killed_run_goes_on_to_the_same_weights(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> None:
    samples = load_samples(find_pairs(dataset), recipe.normalisation)
    weights = np.full(6, 1 / 6)

    def run(folder: Path, stop_at: int | None = None) -> TrainingState:
        def stop(state: TrainingState) -> None:
            if state.step == stop_at:
                raise KilledError

        return fit(samples[:6], weights, samples[6:], recipe, folder, device=CPU, on_validation=stop)

    whole = run(tmp_path / "whole")
    with pytest.raises(KilledError):
        run(tmp_path / "killed", stop_at=2)
    resumed = run(tmp_path / "killed")

    assert resumed.step == whole.step == 4
    assert [row["step"] for row in resumed.history] == [2, 4]
    for name in ("network", "average"):
        expected, found = getattr(whole, name).state_dict(), getattr(resumed, name).state_dict()
        assert all(torch.equal(expected[key], found[key]) for key in expected)
    torch.load(tmp_path / "killed" / BEST_FILE, weights_only=True)


def test_a_finished_run_trains_no_further(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> None:
    samples = load_samples(find_pairs(dataset), recipe.normalisation)
    weights = np.full(6, 1 / 6)
    fit(samples[:6], weights, samples[6:], recipe, tmp_path, device=CPU)
    before = (tmp_path / LAST_FILE).read_bytes()
    state = fit(samples[:6], weights, samples[6:], recipe, tmp_path, device=CPU)
    assert state.step == 4
    assert (tmp_path / LAST_FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("scores", "patience", "ends"),
    [
        ([], 1, False),
        ([0.5], 1, False),
        ([0.5, 0.5], 1, True),  # as good is not better
        ([0.5, 0.6, 0.4], 2, False),
        ([0.5, 0.6, 0.4, 0.6], 2, True),
        ([0.5, 0.4, 0.3, 0.2], None, False),
    ],
)
def test_patience_ends_without_a_better_score(
    recipe: TrainingRecipe, scores: list[float], patience: int | None, ends: bool
) -> None:
    history = [{"ap50": score, "dice": 1.0 + number} for number, score in enumerate(scores)]
    assert stalled(history, recipe.model_copy(update={"patience": patience})) is ends


def test_an_impatient_run_stops_early_and_for_good(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> None:
    samples = load_samples(find_pairs(dataset), recipe.normalisation)
    weights = np.full(6, 1 / 6)
    # So little is learned that the score stays as it was.
    impatient = recipe.model_copy(update={"patience": 1, "learning_rate": 1e-9, "steps": 40})
    state = fit(samples[:6], weights, samples[6:], impatient, tmp_path, device=CPU)
    assert state.step == state.history[-1]["step"] < 40
    again = fit(samples[:6], weights, samples[6:], impatient, tmp_path, device=CPU)
    assert again.step == state.step


def test_a_run_starts_from_the_weights_it_is_given(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> None:
    samples = load_samples(find_pairs(dataset), recipe.normalisation)
    weights = np.full(6, 1 / 6)
    fit(samples[:6], weights, samples[6:], recipe, tmp_path / "first", device=CPU)
    given = torch.load(tmp_path / "first" / BEST_FILE, weights_only=True)
    changes = {"start_from": (str(tmp_path / "first" / BEST_FILE),), "learning_rate": 1e-9, "steps": 1}
    state = fit(samples[:6], weights, samples[6:], recipe.model_copy(update=changes), tmp_path / "second", device=CPU)
    for name, weight in state.network.named_parameters():
        torch.testing.assert_close(weight, given[name], atol=1e-7, rtol=1e-5)


def test_a_recipe_of_no_steps_makes_a_model_of_the_mean_of_two(
    dataset: Path, recipe: TrainingRecipe, tmp_path: Path
) -> None:
    samples = load_samples(find_pairs(dataset), recipe.normalisation)
    paths = []
    for seed in (1, 2):
        seeded = recipe.model_copy(update={"seed": seed})
        fit(samples[:6], np.full(6, 1 / 6), samples[6:], seeded, tmp_path / str(seed), device=CPU)
        paths.append(tmp_path / str(seed) / BEST_FILE)
    mean = recipe.model_copy(update={"steps": 0, "start_from": tuple(map(str, paths))})
    card = train(dataset, tmp_path / "model", tmp_path / "mean", mean, device="cpu")
    assert card.scores["validation"]["images"] > 0
    one, two = (torch.load(path, weights_only=True) for path in paths)
    exported = load_network(read_package(tmp_path / "model", "path"))
    for name, weight in exported.named_parameters():
        expected = (one[name] + two[name]) / 2
        torch.testing.assert_close(weight, expected, atol=1e-3, rtol=1e-2)  # the package rounds its weights
    assert read_training_recipe(tmp_path / "model" / RECIPE_FILE) == mean


def test_the_best_weights_of_a_run_outlive_a_wish_for_no_steps(
    dataset: Path, recipe: TrainingRecipe, tmp_path: Path
) -> None:
    samples = load_samples(find_pairs(dataset), recipe.normalisation)
    torch.save(initial_state(recipe, CPU).network.state_dict(), tmp_path / "first.pt")
    begun = recipe.model_copy(update={"start_from": (str(tmp_path / "first.pt"),)})
    fit(samples[:6], np.full(6, 1 / 6), samples[6:], begun, tmp_path / "run", device=CPU)
    best = tmp_path / "run" / BEST_FILE
    # A mark that only a second writing would take away.
    marked = best.read_bytes() + b"mark"
    best.write_bytes(marked)
    none = begun.model_copy(update={"steps": 0})
    fit(samples[:6], np.full(6, 1 / 6), samples[6:], none, tmp_path / "run", device=CPU)
    assert best.read_bytes() == marked


@pytest.mark.parametrize("architecture", ["unet", "subpixel_unet"])
def test_auxiliary_heads_are_learnt_and_left_out(
    dataset: Path, recipe: TrainingRecipe, tmp_path: Path, architecture: str
) -> None:
    changes = {"architecture": architecture, "auxiliary": ("flow_y", "flow_x"), "steps": 2}
    more = recipe.model_copy(update=changes)
    card = train(dataset, tmp_path / "model", tmp_path / "checkpoints", more, device="cpu")
    assert card.heads == ("foreground", "distance")
    best = torch.load(tmp_path / "checkpoints" / BEST_FILE, weights_only=True)
    whole = build(architecture, network_arguments(more, more.learnt))
    whole.load_state_dict(best)
    pixels = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        expected = whole.eval()(pixels)[:, :2]
        found = load_network(read_package(tmp_path / "model", "path"))(pixels)
    torch.testing.assert_close(found, expected, atol=2e-2, rtol=1e-2)  # the package rounds its weights


def test_a_recipe_decides_how_the_network_normalises(recipe: TrainingRecipe) -> None:
    for norm, tiles_exactly in (("batch", True), ("instance", False)):
        asked = recipe.model_copy(update={"norm": norm})
        network = build(asked.architecture, network_arguments(asked, asked.learnt))
        assert (network.receptive_radius is not None) is tiles_exactly


def test_a_checkpoint_from_before_an_option_goes_on(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> None:
    samples = load_samples(find_pairs(dataset), recipe.normalisation)
    weights = np.full(6, 1 / 6)
    fit(samples[:6], weights, samples[6:], recipe, tmp_path, device=CPU)
    content = torch.load(tmp_path / LAST_FILE, weights_only=True)
    written = json.loads(content["recipe"])
    del written["patience"]
    torch.save({**content, "recipe": json.dumps(written)}, tmp_path / LAST_FILE)
    assert fit(samples[:6], weights, samples[6:], recipe, tmp_path, device=CPU).step == 4
    torch.save({**content, "recipe": json.dumps({**written, "gone": 1})}, tmp_path / LAST_FILE)
    with pytest.raises(CheckpointError, match=r"last\.pt.*another recipe"):
        fit(samples[:6], weights, samples[6:], recipe, tmp_path, device=CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_run_goes_on_on_another_device(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> None:
    samples = load_samples(find_pairs(dataset), recipe.normalisation)
    for steps, device in ((2, CPU), (4, torch.device("cuda")), (6, CPU)):
        longer = recipe.model_copy(update={"steps": steps})
        state = fit(samples[:6], np.full(6, 1 / 6), samples[6:], longer, tmp_path, device=device)
        assert state.step == steps
        assert np.isfinite([row["loss"] for row in state.history]).all()


def test_the_average_follows_the_weights_faster_at_first(recipe: TrainingRecipe) -> None:
    state = initial_state(recipe, CPU)
    weight, average = (next(module.parameters()) for module in (state.network, state.average.module))
    with torch.no_grad():
        for value, expected in ((1.0, 1.0), (2.0, 1 + 9 / 11), (3.0, 1 + 9 / 11 + (2 - 9 / 11) * 9 / 12)):
            weight.fill_(value)
            update_average(state.average, state.network, 0.9)
            torch.testing.assert_close(average, torch.full_like(average, expected))


def test_a_checkpoint_of_another_recipe_is_refused(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> None:
    samples = load_samples(find_pairs(dataset), recipe.normalisation)
    weights = np.full(6, 1 / 6)
    fit(samples[:6], weights, samples[6:], recipe, tmp_path, device=CPU)
    reworded = recipe.model_copy(update={"description": "The same, in other words."})
    assert fit(samples[:6], weights, samples[6:], reworded, tmp_path, device=CPU).step == 4
    other = recipe.model_copy(update={"learning_rate": 0.5})
    with pytest.raises(CheckpointError, match=r"last\.pt.*another recipe"):
        fit(samples[:6], weights, samples[6:], other, tmp_path, device=CPU)


@pytest.mark.parametrize("changed", ["mask", "name", "kind"])
def test_other_data_are_learnt_from_anew(dataset: Path, recipe: TrainingRecipe, tmp_path: Path, changed: str) -> None:
    checkpoints = tmp_path / "checkpoints"

    def stop_once_begun(event: TrainingEvent) -> None:
        if isinstance(event, Validated):
            raise KilledError

    with pytest.raises(KilledError):
        train(dataset, tmp_path / "model", checkpoints, recipe, device="cpu", report=stop_once_begun)
    weights = (checkpoints / BEST_FILE).read_bytes()
    events: list[TrainingEvent] = []

    def watch(event: TrainingEvent) -> None:
        events.append(event)
        if isinstance(event, Begun):
            raise KilledError

    with pytest.raises(KilledError):
        train(dataset, tmp_path / "model", checkpoints, recipe, device="cpu", report=watch)
    assert isinstance(events[-1], Begun)
    assert events[-1].resumed
    image, mask = (next((dataset / folder).glob("field0.*")) for folder in ("images", "masks"))
    if changed == "mask":
        labels = tifffile.imread(mask) if mask.suffix == ".tif" else read_label_image(mask).array
        mask.unlink()
        tifffile.imwrite(mask.with_suffix(".tif"), np.where(labels == labels.max(), 0, labels))
    elif changed == "name":
        image.rename(image.with_stem("zfield"))
        mask.rename(mask.with_stem("zfield"))
    else:
        (dataset / "index.csv").write_text("stem,kind\nfield0,rare\n")
    with pytest.raises(KilledError):
        train(dataset, tmp_path / "model", checkpoints, recipe, device="cpu", report=watch)
    assert isinstance(events[-1], Begun)
    assert not events[-1].resumed
    assert any("begins anew" in event.text for event in events if isinstance(event, Told))
    assert (checkpoints / EARLIER_FOLDER / BEST_FILE).read_bytes() == weights
    assert not (checkpoints / LAST_FILE).exists()


def test_a_damaged_checkpoint_is_named(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> None:
    (tmp_path / LAST_FILE).write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match=r"last\.pt.*cannot be read"):
        fit([], np.ones(0), [], recipe, tmp_path, device=CPU)


def test_scenes_are_trained_on_and_named_on_the_card(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> None:
    events: list[TrainingEvent] = []
    with_scenes = recipe.model_copy(update={"scenes": 3, "steps": 1})
    card = train(dataset, tmp_path / "model", tmp_path / "checkpoints", with_scenes, device="cpu", report=events.append)
    real, scenes = card.training_data
    assert Told(text="3 procedural scenes are learnt from besides.") in events
    assert real.images == 8 - card.scores["validation"]["images"]
    assert scenes.images == 3
    assert set(card.scores["validation"]["per_kind"]) == {"bright", "dark"}


def test_without_matplotlib_there_is_a_model_and_a_word_on_the_curves(
    dataset: Path, recipe: TrainingRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    events: list[TrainingEvent] = []
    train(dataset, tmp_path / "model", tmp_path / "checkpoints", recipe, device="cpu", report=events.append)
    assert isinstance(events[0], Told)
    assert "napari-unetseg[train]" in events[0].text
    assert not (tmp_path / "checkpoints" / CURVES_FILE).exists()


def test_masks_that_are_annotated_in_part_are_learnt_from(
    dataset: Path, recipe: TrainingRecipe, tmp_path: Path
) -> None:
    for path in sorted((dataset / "masks").iterdir()):
        labels = read_label_image(path).array.astype(np.int32)
        labels[:, 40:] = -1
        path.unlink()
        tifffile.imwrite(path.with_suffix(".tif"), labels)
    events: list[TrainingEvent] = []
    card = train(dataset, tmp_path / "model", tmp_path / "checkpoints", recipe, device="cpu", report=events.append)
    losses = [event.loss for event in events if isinstance(event, Stepped | Validated)]
    assert losses
    assert np.isfinite(losses).all()
    assert card.scores["otsu_watershed"]["ap50"] > 0.9  # as it finds the discs, and nobody counts those beyond


def test_held_out_images_of_which_nothing_is_annotated_are_not_scored(
    dataset: Path, recipe: TrainingRecipe, tmp_path: Path
) -> None:
    held = tmp_path / "held.txt"
    held.write_text("field0\nfield1\n", encoding="utf-8")
    (dataset / "masks" / "field0.png").unlink()
    tifffile.imwrite(dataset / "masks" / "field0.tif", np.full((64, 64), -1, np.int16))
    short = recipe.model_copy(update={"steps": 1})
    card = train(dataset, tmp_path / "m", tmp_path / "c", short, validation_list=held, device="cpu")
    assert card.scores["validation"]["images"] == card.scores["otsu_watershed"]["images"] == 1
    held.write_text("field0\n", encoding="utf-8")
    with pytest.raises(UnetsegError, match="nothing is annotated on the images that are held out"):
        train(dataset, tmp_path / "m", tmp_path / "c", short, validation_list=held, device="cpu")


def test_a_stop_keeps_the_best_so_far(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> None:
    events: list[TrainingEvent] = []
    long = recipe.model_copy(update={"steps": 10_000, "validate_every": 1000})
    steps = iter([False, False, True])
    card = train(
        dataset,
        tmp_path / "model",
        tmp_path / "checkpoints",
        long,
        device="cpu",
        report=events.append,
        stop=lambda: next(steps),
    )
    assert isinstance(events[-1], Finished)
    assert events[-1].stopped
    assert read_card(tmp_path / "model" / CARD_FILE) == card
    (validated,) = (event for event in events if isinstance(event, Validated))
    assert validated.step == 2


def test_a_stop_before_the_first_step_makes_no_model(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> None:
    with pytest.raises(UnetsegError, match="stopped before anything was learnt"):
        train(dataset, tmp_path / "model", tmp_path / "checkpoints", recipe, device="cpu", stop=lambda: True)
    assert not (tmp_path / "model").exists()


def test_an_interrupted_run_goes_on_where_it_was(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> None:
    asked = 0

    def interrupt() -> bool:
        nonlocal asked
        asked += 1
        if asked == 4:
            raise Cancelled("left")
        return False

    with pytest.raises(Cancelled):
        train(dataset, tmp_path / "model", tmp_path / "checkpoints", recipe, device="cpu", stop=interrupt)
    events: list[TrainingEvent] = []
    train(dataset, tmp_path / "model", tmp_path / "checkpoints", recipe, device="cpu", report=events.append)
    assert [event.resumed for event in events if isinstance(event, Begun)] == [True]
    assert [event.step for event in events if isinstance(event, Stepped | Validated)] == [4, 4]


@pytest.mark.parametrize(("batch", "advice"), [(4, "--batch 2"), (2, "--crop ")])
def test_a_lack_of_memory_names_a_smaller_step(
    dataset: Path, recipe: TrainingRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int, advice: str
) -> None:
    def step(*arguments: object) -> float:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("napari_unetseg.training.loop.train_step", step)
    scarce = recipe.model_copy(update={"batch": batch})
    with pytest.raises(OutOfMemory, match=f"with {batch} crops of .*{advice}"):
        train(dataset, tmp_path / "model", tmp_path / "checkpoints", scarce, device="cpu")


def test_a_stop_keeps_what_was_learnt_so_far(dataset: Path, recipe: TrainingRecipe, tmp_path: Path) -> None:
    samples = load_samples(find_pairs(dataset), recipe.normalisation)
    longer = recipe.model_copy(update={"steps": 1000, "validate_every": 1000})
    losses: list[torch.Tensor] = []
    state = fit(
        samples[:6],
        np.full(6, 1 / 6),
        samples[6:],
        longer,
        tmp_path,
        device=CPU,
        on_step=lambda state, loss: losses.append(loss),
        stop=lambda: len(losses) == 3,
    )
    assert state.step == len(losses) == 3
    assert [row["step"] for row in state.history] == [3]
    best = torch.load(tmp_path / BEST_FILE, weights_only=True)
    assert all(torch.equal(best[name], value) for name, value in state.average.module.state_dict().items())


def test_a_time_ends_training_and_is_kept_for_the_next_sitting(
    dataset: Path, recipe: TrainingRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(0, 10_000, 3))  # each look at the clock finds three seconds gone
    # Not `time.monotonic` itself, which other threads look at, too.
    clock = SimpleNamespace(monotonic=lambda: float(next(now)))
    monkeypatch.setattr("napari_unetseg.training.loop.time", clock)
    samples = load_samples(find_pairs(dataset), recipe.normalisation)
    timed = recipe.model_copy(update={"steps": 1000, "validate_every": 1000, "minutes": 1.0, "warm_up": 0})
    rates: list[float] = []

    def run(stop_at: int | None = None) -> TrainingState:
        def note(state: TrainingState, loss: torch.Tensor) -> None:
            rates.append(state.optimiser.param_groups[0]["lr"])
            if state.step == stop_at:
                raise KilledError

        return fit(samples[:6], np.full(6, 1 / 6), samples[6:], timed, tmp_path, device=CPU, on_step=note)

    with pytest.raises(KilledError):
        run(stop_at=5)
    state = run()
    assert 60 <= state.seconds < 70
    assert 5 < state.step < 20
    assert len(state.history) > 3
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.1 * timed.learning_rate


def test_a_model_of_all_images_has_the_scores_of_its_cross_validation(
    dataset: Path, recipe: TrainingRecipe, tmp_path: Path
) -> None:
    perfect = {"dice": 1.0, "iou": 1.0, "ap50": 0.9}
    scores = CrossValidated(
        images=8, folds=2, spread={"ap50": 0.1}, per_kind={}, per_fold={"1": Figures(images=8, **perfect)}, **perfect
    )
    chosen = DecodeParameters(threshold=0.35, min_size=7)
    patient = recipe.model_copy(update={"patience": 1})
    of_folds = CrossValidation(
        recipe=patient, recipe_sha256=hash_recipe(patient), parameters=chosen, fold_parameters={}, scores=scores
    )
    output, checkpoints = tmp_path / "model", tmp_path / "checkpoints"
    output.mkdir()
    (output / VALIDATION_FILE).write_text("field0\n", encoding="utf-8")  # of a model that was there before
    longer = patient.model_copy(update={"steps": 6, "name": "all"})
    events: list[TrainingEvent] = []
    card = train(dataset, output, checkpoints, longer, cross_validation=of_folds, device="cpu", report=events.append)

    assert card == read_card(output / CARD_FILE)
    assert next(iter(card.scores)) == "cross_validation"
    assert card.scores["cross_validation"]["ap50"] == 0.9
    assert "validation" not in card.scores
    assert card.scores["split"].startswith("nothing held out")
    assert card.scores["split"].endswith("They were trained for 4 steps of 2 crops, the model for 6 steps of 2 crops")
    assert card.scores["otsu_watershed"]["images"] == card.training_data[0].images == 8
    assert card.parameters == chosen
    assert not (output / VALIDATION_FILE).exists()
    (begun,) = (event for event in events if isinstance(event, Begun))
    assert (begun.images, begun.held_out) == (8, 0)
    told = [(event.step, event.score, event.best) for event in events if isinstance(event, Validated)]
    assert told == [(2, None, False), (4, None, False), (6, None, False)]  # no patience without scores
    assert isinstance(events[-1], Finished)
    assert events[-1].after == perfect
    assert (checkpoints / CURVES_FILE).exists()

    last = torch.load(checkpoints / LAST_FILE, weights_only=True)["average"]
    kept = torch.load(checkpoints / BEST_FILE, weights_only=True)
    assert all(torch.equal(tensor, last[f"module.{name}"]) for name, tensor in kept.items())


def test_the_scores_of_another_recipe_or_of_other_images_are_not_taken(
    dataset: Path, recipe: TrainingRecipe, tmp_path: Path
) -> None:
    scores = CrossValidated(images=8, folds=2, spread={}, per_kind={}, per_fold={}, dice=1.0, iou=1.0)
    of_folds = CrossValidation(
        recipe=recipe, recipe_sha256="", parameters=recipe.parameters, fold_parameters={}, scores=scores
    )
    other = recipe.model_copy(update={"crop": 64})
    elsewhere = of_folds.model_copy(update={"images_sha256": "of others"})
    for asked, given, fault in (
        (other, of_folds, "not the one of which the cross-validation is"),
        (recipe, elsewhere, "of other images or masks than those to train on"),
    ):
        with pytest.raises(UnetsegError, match=fault):
            train(dataset, tmp_path / "model", tmp_path / "checkpoints", asked, cross_validation=given, device="cpu")
    assert not (tmp_path / "checkpoints").exists()
