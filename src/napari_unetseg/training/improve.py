"""From a model and a few corrected images to a better model of the user's own, in minutes."""

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_unetseg.errors import UnetsegError, out_of_memory_says
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.device import choose_device
from napari_unetseg.inference.backends.make_backend import keep_to_cores
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.language import Sentence
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.training.corrected_images import CorrectedImage
from napari_unetseg.training.corrected_regions import Region, divide, find_regions
from napari_unetseg.training.fine_tune import Student, batches
from napari_unetseg.training.lessons import card_for, crop_side, make_lesson, score_regions, scored_by
from napari_unetseg.training.progress_events import Begun, Finished, Stepped, Told, TrainingEvent, Validated
from napari_unetseg.training.replay import make_pool
from napari_unetseg.training.seen import answer_maps
from napari_unetseg.training.state import CheckpointError
from napari_unetseg.zoo.card import ModelCard, as_name
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.packaging import write_package
from napari_unetseg.zoo.registry import ModelPackage

RUN_FILE, PREVIEW_FILE = "improve.pt", "preview.npy"

ENOUGH = 4
"""From so many regions on some are held back."""

HELD_BACK = 0.25
"""Part of the regions that is held back, where there are enough of them."""

MOST_HELD_BACK = 8

MAIN_SHARE, FOLDS_SHARE, STAGES_END = 0.6, 0.3, 0.9
"""Parts of the time: for the model itself where others are made to score it, for these together, and until the last
of them ends; the rest is for the package."""

FIRST_VALIDATION = 15.0
"""Seconds after which the model is first scored and shown."""

VALIDATIONS = 8
"""How often the model is scored in the time that there is for it."""

SAVE_EVERY = 15.0
"""Seconds between checkpoints."""

LARGEST_PREVIEW = 2048
"""Side of the middle of an image that a preview shows."""

UNLIMITED = 10**9

FEWEST_STEPS = 20
"""Steps that are taken however short the time is."""


class ImproveError(UnetsegError):
    """What was corrected cannot improve the model."""


class _Stopped(Exception):
    """Somebody asked for the end."""


def never() -> bool:
    """Never ask for a stop."""
    return False


def improve(
    package: ModelPackage,
    images: Sequence[CorrectedImage],
    output: Path,
    checkpoints: Path,
    *,
    minutes: float = 5,
    steps: int | None = None,
    seed: int = 0,
    display_name: str | None = None,
    device: str = "auto",
    preview: Image | None = None,
    report: Callable[[TrainingEvent], None],
    stop: Callable[[], bool] = never,
) -> ModelCard:
    """Fine-tune a model on corrected images and write the better one as a package of its own.

    Run again with the same arguments after a kill, it goes on from the last checkpoint; an exception out of `report`
    or `stop` leaves one behind, too.

    Where there are four regions or more, a quarter of them is held back: the weights that score best on these are
    kept, and their scores before and after stand on the card. Of fewer all are learnt from, and then each is scored by
    a model that learned from the others (cross-validation; of one region, each half by the other). In either case
    weights are kept only if they are not worse on what they learned from than those of the old model.

    Parameters
    ----------
    package
        The model; it stays as it is.
    images
        What was corrected; at least one pixel must be annotated. Only what is annotated teaches.
    output
        Folder of the new model package; its name is the name of the model.
    checkpoints
        Folder of what is needed to go on.
    minutes
        Time for it all.
    steps
        Most steps of the model itself, by which the result is the same on a machine of any speed that has the time.
        None: as many as there is time for.
    seed
        Of the crops.
    display_name
        Of the new model; None: "<model>, improved on <images>".
    device
        ``"auto"``, ``"cuda"``, one of several cards such as ``"cuda:1"``, ``"mps"`` or ``"cpu"``.
    preview
        Image of which the labels that the model so far finds are written to `checkpoints` after each validation; of a
        large one those in its middle.
    report
        Called with each event, `Begun` to `Finished`, from the calling thread.
    stop
        Asked at each step; True ends it early with the best so far.

    Raises
    ------
    ImproveError
        If the model cannot be trained.
    CorrectedImageError
        If nothing is annotated.
    OutOfMemory
        If there is not enough.
    UnetsegError
        If a file cannot be used.
    """
    if package.card.image_size is not None:
        raise ImproveError(
            Sentence(
                "{model} sees every image at {height} x {width} pixels, so it cannot learn from parts of one. Improve "
                "another model.",
                model=package.card.display_name,
                height=package.card.image_size[0],
                width=package.card.image_size[1],
            )
        )
    with out_of_memory_says(Sentence("Memory ran out while the model learned. Close other programs, or images.")):
        run = _Run(package, images, checkpoints, minutes, steps, seed, device, preview, report, stop)
        try:
            run.learn()
        except _Stopped:
            pass
        except BaseException:
            run.save()
            raise
        return run.write(output, display_name)


@dataclass(frozen=True)
class _Stage:
    """A model that learns from some regions and is scored on others.

    Attributes
    ----------
    end
        Part of the whole time that is over when it ends.
    """

    learnt: tuple[Region, ...]
    scored: tuple[Region, ...]
    end: float


@dataclass
class _Best:
    """The best weights of a stage so far; None are those of the old model."""

    scores: dict[str, float]
    weights: dict[str, torch.Tensor] | None = None


@dataclass
class _Progress:
    """What changes in the course of a run, and is kept in its checkpoint."""

    seconds: float = 0.0
    stage: int = 0
    began: float = 0.0
    best: _Best | None = None
    folds: list[tuple[dict[str, float], dict[str, float]]] = field(default_factory=list)


def plan_stages(regions: Sequence[Region], seed: int) -> list[_Stage]:
    """Say what is learnt and what is held back."""
    if len(regions) >= ENOUGH:
        count = min(max(1, round(HELD_BACK * len(regions))), MOST_HELD_BACK)
        # Spread over the images, which are in order.
        places = np.unique(np.linspace(0, len(regions), 2 * count + 1)[1::2].astype(int))
        held = tuple(regions[place] for place in places)
        learnt = tuple(region for place, region in enumerate(regions) if place not in places)
        return [_Stage(learnt, held, STAGES_END)]
    parts = divide(regions[0]) if len(regions) == 1 else list(regions)
    stages = [_Stage(tuple(regions), tuple(regions), MAIN_SHARE)]
    for number in range(len(parts)):
        others = tuple(part for place, part in enumerate(parts) if place != number)
        share = MAIN_SHARE + FOLDS_SHARE * (number + 1) / len(parts)
        stages.append(_Stage(others, (parts[number],), share))
    return stages


class _Run:
    """One improvement, from regions to a package."""

    def __init__(
        self,
        package: ModelPackage,
        images: Sequence[CorrectedImage],
        checkpoints: Path,
        minutes: float,
        steps: int | None,
        seed: int,
        device: str,
        preview: Image | None,
        report: Callable[[TrainingEvent], None],
        stop: Callable[[], bool],
    ) -> None:
        self._began = time.monotonic()
        chosen = choose_device(device)
        keep_to_cores()
        self._package, self._images, self._checkpoints = package, images, checkpoints
        self._budget, self._most_steps, self._seed = 60 * minutes, steps or UNLIMITED, seed
        self._report, self._stop = report, stop
        self._device, self._device_name = torch.device(chosen.torch_name), chosen.torch_name
        self._network = load_network(package)
        regions = find_regions(images, package.card)
        self._card = card_for(package.card, regions)
        self._metric = scored_by(regions, self._card)
        self._stages = plan_stages(regions, seed)
        self._progress = _Progress()
        self._student_state: dict[str, Any] | None = None
        self._student: Student | None = None
        self._file = checkpoints / RUN_FILE
        self._saved = self._reported = self._began
        self._key = self._fingerprint(minutes, steps, seed)
        self._earlier = 0.0
        self._preview = None if preview is None else _Preview(preview, self._card, self._device, checkpoints)
        self.stopped = False
        self._resumed = self._resume()

    def _fingerprint(self, minutes: float, steps: int | None, seed: int) -> str:
        content = hashlib.sha256(repr((self._package.card.weights.sha256, minutes, steps, seed)).encode())
        for image in self._images:
            content.update(image.labels.tobytes())
            content.update(repr((image.name, image.image.shape)).encode())
        return content.hexdigest()

    # -- time and checkpoints

    @property
    def seconds(self) -> float:
        """Time since the beginning, of all sittings."""
        return self._earlier + time.monotonic() - self._began

    def _resume(self) -> bool:
        if not self._file.exists():
            return False
        try:
            content = torch.load(self._file, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError) as error:
            raise CheckpointError(f"{self._file}: the checkpoint cannot be read. Delete it to start anew.") from error
        if content["key"] != self._key:
            return False
        kept = content["progress"]
        best = kept.pop("best")
        self._progress = _Progress(**kept, best=None if best is None else _Best(**best))
        self._student_state = content["student"]
        self._earlier = self._progress.seconds
        return True

    def save(self) -> None:
        """Write all that is needed to go on."""
        self._progress.seconds = self.seconds
        kept = {name: value for name, value in vars(self._progress).items() if name != "best"}
        best = self._progress.best
        content = {
            "key": self._key,
            "progress": {**kept, "best": None if best is None else vars(best)},
            "student": None if self._student is None else self._student.state(),
        }
        with whole_file(self._file) as path:
            torch.save(content, path)
        self._saved = time.monotonic()

    # -- learning

    def learn(self) -> None:
        """Go through the stages that are left."""
        first = self._stages[0]
        held = first.scored if len(self._stages) == 1 else ()
        self._old = {id(region): self._score(self._network, [region]) for region in first.scored}
        before = _mean([self._old[id(region)] for region in first.scored])
        self._report(
            Begun(
                images=len({region.image for region in first.learnt}),
                held_out=len(held),
                device=self._device_name,
                metric=self._metric,
                before=before[self._metric],
                resumed=self._resumed,
            )
        )
        self._say_plan(bool(held))
        side = crop_side([region for stage in self._stages for region in stage.learnt])
        self._known = make_pool(self._network, self._card, side, self._seed, self._device)
        while self._progress.stage < len(self._stages):
            self._learn_stage(self._stages[self._progress.stage], self._progress.stage)
            self._progress.stage += 1
            self._student = None
            self.save()

    def _say_plan(self, held: bool) -> None:
        count = len(self._stages[0].learnt)
        if held:
            text = f"{count} regions to learn from, {len(self._stages[0].scored)} held back."
        elif count == 1:
            text = "1 region to learn from; its halves are scored in turn by models that learned from the other."
        else:
            text = f"{count} regions to learn from; each is then scored by a model that learned from the others."
        self._report(Told(text=text))

    def _learn_stage(self, stage: _Stage, number: int) -> None:
        progress, main = self._progress, number == 0
        lesson = make_lesson(stage.learnt, self._known, self._card)
        student = self._student = Student(self._network, self._card, self._device)
        if self._student_state is not None:
            student.load(self._student_state)
            self._student_state = None
        before = self._score(self._network, stage.scored)
        learnt_before = before if stage.learnt == stage.scored else self._score(self._network, stage.learnt)
        if main and progress.best is None:
            progress.best = _Best(before)
        if not student.steps:
            progress.began = self.seconds
        begin, end = progress.began, stage.end * self._budget
        validated, losses = self.seconds, list[float]()
        interval = max((end - begin) / VALIDATIONS, 1.0)
        if not main:
            text = f"A model learns from the others, to score part {number} of {len(self._stages) - 1}."
            self._report(Told(text=text))
        with closing(batches(lesson, (self._seed, number), student.steps)) as drawn:
            while (done := self._done(student.steps, begin, end)) < 1:
                if self._stop():
                    self.stopped = True
                    break
                losses.append(student.step(next(drawn), done))
                self._tell_step(student, losses[-1], main)
                due = min(interval, FIRST_VALIDATION) if not main or len(losses) == student.steps else interval
                if main and self.seconds - validated >= due:
                    self._validate(student, stage, learnt_before, losses)
                    losses, validated = [], self.seconds
                elif time.monotonic() - self._saved >= SAVE_EVERY:
                    self.save()
        if main and losses:
            self._validate(student, stage, learnt_before, losses)
        if self.stopped:
            raise _Stopped
        if not main:
            progress.folds.append((before, self._score(student.average, stage.scored)))

    def _done(self, steps: int, begin: float, end: float) -> float:
        """Tell how much of a stage is done, by time or steps; a few steps are always taken."""
        time = (self.seconds - begin) / max(end - begin, 1e-9)
        return min(1.0, max(steps / self._most_steps, min(time, steps / FEWEST_STEPS)))

    def _tell_step(self, student: Student, loss: float, main: bool) -> None:
        now = time.monotonic()
        if student.steps > 1 and now - self._reported < 0.5:
            return
        self._reported = now
        seconds = self.seconds
        done = min(1.0, seconds / self._budget)
        self._report(
            Stepped(
                step=student.steps,
                loss=loss,
                progress=done,
                seconds=seconds,
                remaining=max(0.0, self._budget - seconds),
            )
        )

    def _validate(
        self, student: Student, stage: _Stage, learnt_before: dict[str, float], losses: Sequence[float]
    ) -> None:
        network, best = student.average, self._progress.best
        scores = self._score(network, stage.scored)
        better = best is None or scores[self._metric] > best.scores[self._metric]
        if better and stage.learnt != stage.scored:
            better = self._score(network, stage.learnt)[self._metric] >= learnt_before[self._metric]
        if better:
            weights = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
            self._progress.best = _Best(scores, weights)
        self.save()
        self._report(
            Validated(
                step=student.steps,
                loss=float(np.mean(losses)),
                score=scores[self._metric],
                best=better,
                seconds=self.seconds,
                preview=None if self._preview is None else self._preview.write(network),
            )
        )

    def _score(self, network: SegmentationNetwork, regions: Sequence[Region]) -> dict[str, float]:
        return score_regions(network, regions, self._card, self._device)

    # -- the package

    def write(self, output: Path, display_name: str | None) -> ModelCard:
        """Write the package of the best weights."""
        best, stage = self._progress.best, self._stages[0]
        weights = None if best is None else best.weights
        state = dict(self._network.state_dict()) if weights is None else weights
        before, after, how = self._scores()
        if weights is None:
            self._report(
                Told(
                    text="Nothing better was found on what was corrected, so the new model has the old model's weights."
                )
            )
        names = list(dict.fromkeys(image.name for image in self._images))
        shown = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
        title = display_name or f"{self._package.card.display_name}, improved on {shown}"
        card = self._card
        fields = card.model_dump(exclude={"weights"}) | {
            "name": as_name(output.name),
            "display_name": title,
            "description": f"{card.description} Improved on corrected regions of {shown}.",
            "training_data": [
                *(data.model_dump() for data in card.training_data),
                {
                    "name": f"Corrections by the user of {', '.join(names[:20])}",
                    "licence": "the user's own",
                    "citation": "none",
                    "images": len(names),
                },
            ],
            "scores": {
                "split": how,
                "before": before,
                "after": after,
                "improved": {
                    "from": f"{card.name} (SHA-256 of its weights {self._package.card.weights.sha256[:12]}...)",
                    "regions": len(stage.learnt) + (len(stage.scored) if len(self._stages) == 1 else 0),
                    "learnt_from": len(stage.learnt),
                    "minutes": round(self.seconds / 60, 2),
                    "stopped_early": self.stopped,
                    "old_weights_kept": weights is None,
                },
            },
        }
        written = write_package(output, fields, state)
        self._file.unlink(missing_ok=True)
        self._report(
            Finished(
                model=output,
                name=written.name,
                display_name=written.display_name,
                before=before,
                after=after,
                stopped=self.stopped,
                seconds=self.seconds,
            )
        )
        return written

    def _scores(self) -> tuple[dict[str, float], dict[str, float], str]:
        """Return scores before and after, and how they were measured."""
        best, folds, stage = self._progress.best, self._progress.folds, self._stages[0]
        held = len(self._stages) == 1
        if held or len(folds) < len(self._stages) - 1:
            before = self._score(self._network, stage.scored)
            after = dict(best.scores) if best is not None else before
            if held:
                return (
                    before,
                    after,
                    f"{len(stage.scored)} corrected regions held back, by which the weights were chosen",
                )
            return before, after, "the corrected regions that were learnt from: stopped before any was held back"
        before, after = _mean([fold[0] for fold in folds]), _mean([fold[1] for fold in folds])
        parts = "the halves of the corrected region" if len(stage.learnt) == 1 else f"{len(folds)} corrected regions"
        return before, after, f"{parts}, each scored by a model that learned from the others (cross-validation)"


def _mean(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([one[name] for one in scores])), 4) for name in scores[0]}


class _Preview:
    """Labels of an image after each validation, in a file."""

    def __init__(self, image: Image, card: ModelCard, device: torch.device, folder: Path) -> None:
        self._card, self._device, self._path, self._shape = card, device, folder / PREVIEW_FILE, image.shape
        self._middle = tuple(
            slice((side - kept) // 2, (side - kept) // 2 + kept)
            for side, kept in [(side, min(side, LARGEST_PREVIEW)) for side in image.shape]
        )
        seen = normalise(image, card.normalisation, card.input_channels)
        self._pixels = torch.from_numpy(seen.read(*[np.arange(part.start, part.stop) for part in self._middle]))

    def write(self, network: SegmentationNetwork) -> Path:
        """Write what a network finds, int32 (Y, X)."""
        labels: NDArray[np.int32] = np.zeros(self._shape, np.int32)
        maps = answer_maps(network, self._pixels, self._card, self._device)
        labels[self._middle] = decode(maps, self._card.heads, self._card.parameters)
        with whole_file(self._path) as path:
            np.save(path, labels)
        return self._path
