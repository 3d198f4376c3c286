"""The course of an improvement: stages that learn and score, the best weights so far, and a checkpoint."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_unetseg.image import Image
from napari_unetseg.inference.backends.device import choose_device
from napari_unetseg.inference.backends.make_backend import keep_to_cores
from napari_unetseg.language import Sentence, translated
from napari_unetseg.networks import SegmentationNetwork
from napari_unetseg.postprocessing.parameters import DecodeParameters
from napari_unetseg.training.corrected_images import CorrectedImage
from napari_unetseg.training.corrected_regions import Region, find_regions
from napari_unetseg.training.fine_tune import SHARES, Student, batches, mixtures
from napari_unetseg.training.holding_back import FOLDS_SHARE, MAIN_SHARE, Stage, plan_stages
from napari_unetseg.training.improved_card import Outcome, improved_fields
from napari_unetseg.training.improvement_state import Best, Progress, fingerprint, read_checkpoint, write_checkpoint
from napari_unetseg.training.lessons import card_for, crop_side, make_lesson, score_regions, scored_by, tuned_parameters
from napari_unetseg.training.preview import Preview
from napari_unetseg.training.progress_events import Begun, Finished, Stepped, Told, TrainingEvent, Validated
from napari_unetseg.training.replay import agreement, known_pictures, make_exam, make_pool
from napari_unetseg.zoo.card import ModelCard
from napari_unetseg.zoo.network_loading import load_own_network
from napari_unetseg.zoo.packaging import write_package
from napari_unetseg.zoo.registry import ModelPackage

RUN_FILE = "improve.pt"

FIRST_VALIDATION = 8.0
"""Seconds of learning after which the model is first scored and shown."""

WRITING = 2.0
"""Seconds that the package takes."""

VALIDATIONS = 8
"""How often the model is scored in the time that there is for it."""

GAIN_KEPT = 0.95
"""Part of the gain in score that must be left when less of what was learnt is kept."""

AGREEMENT = 0.95
"""How well what an improved model finds in pictures that the old one knew must agree with what that one found."""

SAVE_EVERY = 15.0
"""Seconds between checkpoints."""

UNLIMITED = 10**9

FEWEST_STEPS = 20
"""Steps that are taken however short the time is."""


class Stopped(Exception):
    """Somebody asked for the end."""


class Improvement:
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
        # PyTorch's annotations of Module.to do not know memory_format.
        self._network = load_own_network(package, Sentence("trained")).to(
            self._device, memory_format=torch.channels_last
        )  # type: ignore[call-overload]
        regions = find_regions(images, package.card)
        self._card = card_for(package.card, regions)
        self._metric = scored_by(regions, self._card)
        self._stages = plan_stages(regions)
        self._progress = Progress()
        self._student_state: dict[str, Any] | None = None
        self._student: Student | None = None
        self._file = checkpoints / RUN_FILE
        self._saved = self._reported = self._began
        self._key = fingerprint(package.card, images, (minutes, steps, seed))
        self._earlier = 0.0
        self._old_scores = dict[tuple[int, ...], dict[str, float]]()
        self._scoring = dict[tuple[int, ...], float]()
        self._preview = None if preview is None else Preview(preview, self._card, self._device, checkpoints)
        self.stopped = False
        self._resumed = self._resume()

    # -- time and checkpoints

    @property
    def seconds(self) -> float:
        """Time since the beginning, of all sittings."""
        return self._earlier + time.monotonic() - self._began

    def _resume(self) -> bool:
        found = read_checkpoint(self._file, self._key)
        if found is None:
            return False
        self._progress, self._student_state = found
        if self._progress.parameters:
            self._read_objects_by(self._progress.parameters)
        self._earlier = self._progress.seconds
        return True

    def save(self) -> None:
        """Write all that is needed to go on."""
        self._progress.seconds = self.seconds
        student = None if self._student is None else self._student.state()
        write_checkpoint(self._file, self._key, self._progress, student)
        self._saved = time.monotonic()

    # -- learning

    def learn(self) -> None:
        """Go through the stages that are left."""
        first = self._stages[0]
        held = first.scored if len(self._stages) == 1 else ()
        before = self._score_old(first.scored)
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
        pictures = known_pictures(self._network, self._card, self._device)
        self._known = make_pool(self._network, self._card, pictures, side, self._seed, self._device)
        began = time.monotonic()
        self._exam = make_exam(self._network, self._package.card, pictures, self._device)
        # Looking at the mixtures once more, and the package.
        self._at_the_end = WRITING + len(SHARES) * (self._scoring_of(first) + time.monotonic() - began)
        while self._progress.stage < len(self._stages):
            self._learn_stage(self._stages[self._progress.stage], self._progress.stage)
            self._progress.stage += 1
            self._student = None
            self.save()

    def _scoring_of(self, stage: Stage) -> float:
        """Seconds that one look at the regions by which a stage is scored takes, and at those that it learns from."""
        looked_at = {tuple(map(id, regions)): regions for regions in (stage.learnt, stage.scored)}
        for regions in looked_at.values():
            self._score_old(regions)
        return sum(self._scoring[key] for key in looked_at)

    def _end_of(self, stage: Stage) -> float:
        """When a stage has to stop learning so that there is time to score what it learned."""
        end = stage.end * (self._budget - self._at_the_end)
        return end if stage is self._stages[0] else end - len(SHARES) * self._scoring[tuple(map(id, stage.scored))]

    def _say_plan(self, held: bool) -> None:
        count = len(self._stages[0].learnt)
        if held:
            back = len(self._stages[0].scored)
            text = Sentence("{count} regions to learn from, {back} held back.", count=count, back=back)
        elif count == 1:
            text = Sentence(
                "1 region to learn from; its halves are scored in turn by models that learned from the other."
            )
        else:
            text = Sentence(
                "{count} regions to learn from; each is then scored by a model that learned from the others.",
                count=count,
            )
        self._tell(text)

    def _tell(self, text: Sentence) -> None:
        self._report(Told(text=translated(text)))

    def _learn_stage(self, stage: Stage, number: int) -> None:
        progress, main = self._progress, number == 0
        lesson = make_lesson(stage.learnt, self._known, self._card)
        student = self._student = Student(self._network, self._card, self._device)
        if self._student_state is not None:
            student.load(self._student_state)
            self._student_state = None
        before = self._score_old(stage.scored)
        learnt_before = before if stage.learnt == stage.scored else self._score_old(stage.learnt)
        if main and progress.best is None:
            progress.best = Best(before)
        if not student.steps:
            progress.began = self.seconds
        begin, end = progress.began, self._end_of(stage)
        # By steps, as by time, models that only score have a part of those of the model itself.
        parts = len(self._stages) - 1
        most = self._most_steps if main else self._most_steps * FOLDS_SHARE / MAIN_SHARE / parts
        losses = list[float]()
        before_step = self._done(student.steps / most, student.steps, begin, end)
        if not main:
            text = Sentence(
                "A model learns from the others, to score part {number} of {parts}.", number=number, parts=parts
            )
            self._tell(text)
        with closing(batches(lesson, (self._seed, number), student.steps, self._device)) as drawn:
            while (done := self._done(student.steps / most, student.steps, begin, end)) < 1:
                if self._stop():
                    self.stopped = True
                    break
                losses.append(student.step(next(drawn), done))
                self._tell_step(student, losses[-1], main)
                is_first = len(losses) == student.steps
                due = int(done * VALIDATIONS) > int(before_step * VALIDATIONS)
                before_step = done
                if main and (due or (is_first and self.seconds - begin >= FIRST_VALIDATION)):
                    self._validate(student, stage, learnt_before, losses)
                    losses = []
                elif time.monotonic() - self._saved >= SAVE_EVERY:
                    self.save()
        if main and losses:
            self._validate(student, stage, learnt_before, losses)
        if main and progress.best is not None and (self.stopped or stage.learnt != stage.scored):
            self._keep_more(stage, before, learnt_before, progress.best)
            self._tune(stage)
        if self.stopped:
            raise Stopped
        if not main:
            progress.folds.append((before, self._score_mixtures(student.average, stage)))
            if len(progress.folds) == parts:
                self._choose_share()

    def _score_mixtures(self, learnt: SegmentationNetwork, stage: Stage) -> list[dict[str, float]]:
        """Score each of `SHARES` of what was learnt."""
        network, scores = deepcopy(self._network), []
        for weights in mixtures(self._network, learnt.state_dict()):
            network.load_state_dict(weights)
            scores.append(self._score(network, stage.scored))
        return scores

    def _choose_share(self) -> None:
        """Keep as much of what was learnt as helped on regions that were not learnt from; nothing if none did."""
        progress, stage, metric = self._progress, self._stages[0], self._metric
        if progress.best is None or progress.best.weights is None:
            return
        before = float(np.mean([fold[0][metric] for fold in progress.folds]))
        gains = [
            float(np.mean([fold[1][place][metric] for fold in progress.folds])) - before for place in range(len(SHARES))
        ]
        self._keep_share(progress.best, stage, gains, self._score_old(stage.scored))

    def _keep_more(self, stage: Stage, before: dict[str, float], learnt_before: dict[str, float], best: Best) -> None:
        """Go back towards the old weights as far as that costs next to nothing of what was gained."""
        if best.weights is None or self._progress.share < 1:
            return
        network, gains = deepcopy(self._network), []
        for weights in mixtures(self._network, best.weights):
            network.load_state_dict(weights)
            gains.append(self._score(network, stage.scored)[self._metric] - before[self._metric])
        self._keep_share(best, stage, gains, learnt_before)

    def _keep_share(self, best: Best, stage: Stage, gains: Sequence[float], learnt_before: dict[str, float]) -> None:
        """Choose a share of what was learnt by what each gains; none if none gains that keeps what is known.

        None that is worse on what it learned from, either.
        """
        if best.weights is None:
            return
        network = deepcopy(self._network)
        fit = list[tuple[float, dict[str, torch.Tensor], float]]()
        for share, weights, gain in zip(SHARES, mixtures(self._network, best.weights), gains, strict=True):
            network.load_state_dict(weights)
            if gain > 0 and self._is_not_worse(network, stage, learnt_before):
                fit.append((share, weights, gain))
        by_gain = sorted(fit, key=lambda one: one[2], reverse=True)
        most = next((one for one in by_gain if self._still_knows(network, one[1])), None)
        # Of those that are as good as that, the nearest to the old weights: it forgets least.
        as_good = [] if most is None else [one for one in fit if one[2] >= GAIN_KEPT * most[2]]
        chosen = next((one for one in as_good if one is most or self._still_knows(network, one[1])), None)
        if chosen is None:
            self._progress.share, self._progress.best = 0.0, Best(self._score_old(stage.scored))
            if fit:
                self._tell(Sentence("What was learnt made the model forget what it knew, so it was not kept."))
            return
        share, weights, _ = chosen
        network.load_state_dict(weights)
        self._progress.share, self._progress.best = share, Best(self._score(network, stage.scored), weights)

    def _still_knows(self, network: SegmentationNetwork, weights: dict[str, torch.Tensor]) -> bool:
        network.load_state_dict(weights)
        return agreement(network, self._exam, self._card, self._device) >= AGREEMENT

    def _tune(self, stage: Stage) -> None:
        """Choose how objects are read off what the best weights answer, by regions that were held back alone.

        On what it learned from, a network is surer than it will be elsewhere.
        """
        best = self._progress.best
        if best is None or best.weights is None or self._progress.parameters or stage.learnt == stage.scored:
            return
        network = deepcopy(self._network)
        network.load_state_dict(best.weights)
        parameters = tuned_parameters(network, stage.scored, self._card, self._device, self._metric)
        self._read_objects_by(parameters.model_dump())
        if parameters != self._package.card.parameters:
            self._progress.best = Best(self._score(network, stage.scored), best.weights)

    def _read_objects_by(self, parameters: dict[str, Any]) -> None:
        self._progress.parameters = parameters
        self._card = self._card.model_copy(update={"parameters": DecodeParameters(**parameters)})

    def _is_not_worse(self, network: SegmentationNetwork, stage: Stage, learnt_before: dict[str, float]) -> bool:
        return self._score(network, stage.learnt)[self._metric] >= learnt_before[self._metric]

    def _done(self, part: float, steps: int, begin: float, end: float) -> float:
        """Tell how much of a stage is done, by its part of the most steps or by time; a few steps are always taken."""
        time = (self.seconds - begin) / max(end - begin, 1e-9)
        return min(1.0, max(part, min(time, steps / FEWEST_STEPS)))

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
        self, student: Student, stage: Stage, learnt_before: dict[str, float], losses: Sequence[float]
    ) -> None:
        network, best = student.average, self._progress.best
        scores = self._score(network, stage.scored)
        better = best is None or scores[self._metric] > best.scores[self._metric]
        if better and stage.learnt != stage.scored:
            better = self._is_not_worse(network, stage, learnt_before)
        if better:
            weights = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
            self._progress.best = Best(scores, weights)
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

    def _score_old(self, regions: Sequence[Region]) -> dict[str, float]:
        known = self._old_scores.get(key := tuple(map(id, regions)))
        if known is None:
            began = time.monotonic()
            known = self._old_scores[key] = score_regions(self._network, regions, self._package.card, self._device)
            self._scoring[key] = time.monotonic() - began
        return known

    # -- the package

    def write(self, output: Path, display_name: str | None) -> ModelCard:
        """Write the package of the best weights."""
        best, stage = self._progress.best, self._stages[0]
        weights = None if best is None else best.weights
        if weights is None:
            self._tell(
                Sentence(
                    "Nothing better was found on what was corrected: the new model has the weights of the old one."
                )
            )
        before, after, how = self._scores()
        outcome = Outcome(
            images=tuple(dict.fromkeys(image.name for image in self._images)),
            before=before,
            after=after,
            how=how,
            learnt_from=len(stage.learnt),
            held_back=0 if stage.learnt == stage.scored else len(stage.scored),
            minutes=self.seconds / 60,
            stopped=self.stopped,
            old_weights=weights is None,
        )
        fields = improved_fields(self._package.card, self._card, output, display_name, outcome)
        card = write_package(output, fields, self._network.state_dict() if weights is None else weights)
        self._file.unlink(missing_ok=True)
        self._report(
            Finished(
                model=output,
                name=card.name,
                display_name=card.display_name,
                before=before,
                after=after,
                stopped=self.stopped,
                seconds=self.seconds,
            )
        )
        return card

    def _scores(self) -> tuple[dict[str, float], dict[str, float], str]:
        """Return scores before and after, and how they were measured."""
        best, folds, stage = self._progress.best, self._progress.folds, self._stages[0]
        if folds and len(folds) == len(self._stages) - 1:
            before = _mean([fold[0] for fold in folds])
            share = 0.0 if best is None or best.weights is None else self._progress.share
            after = _mean([fold[1][SHARES.index(share)] for fold in folds]) if share else before
            parts = "halves of the corrected region" if len(stage.learnt) == 1 else "corrected regions"
            return before, after, f"{len(folds)} {parts}, each scored by a model that learned from the others"
        before = _mean([self._score_old(stage.scored)])
        after = before if best is None else _mean([best.scores])
        if stage.learnt == stage.scored:
            return (
                before,
                after,
                "the corrected regions that were learnt from: it was stopped before others were scored",
            )
        return before, after, f"{len(stage.scored)} corrected regions held back, by which the weights were chosen"


def _mean(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: round(float(np.mean([one[name] for one in scores])), 4) for name in scores[0]}
