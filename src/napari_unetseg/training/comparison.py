"""Compare methods on the same annotated images: which ones, on what, and how they scored."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tqdm import tqdm

from napari_unetseg.training.corruptions import CORRUPTIONS
from napari_unetseg.training.dataset import Pair
from napari_unetseg.training.evaluate import Failed, Method, Truth, choose_truth, evaluate
from napari_unetseg.training.robustness import CorruptionTrial, score_corruptions
from napari_unetseg.training.scores import Score

_Result = TypeVar("_Result")


@dataclass
class Comparison:
    """Several methods on the same images.

    Attributes
    ----------
    methods
        What is compared; the first is the model in question.
    pairs
        Images and annotations.
    masks
        Whether annotations say only where objects are, see `are_masks`.
    report
        Called with each failure as it happens.
    scores
        Of each method by its name; images that failed are left out.
    trials
        What the model in question makes of corrupted images; None before `score_corruptions`.
    failures
        Images that could not be scored; one that fails for all methods alike is listed once.
    """

    methods: Sequence[Method]
    pairs: Sequence[Pair]
    masks: bool
    report: Callable[[Failed], None] = lambda failed: None
    scores: dict[str, list[Score]] = field(default_factory=dict)
    trials: list[CorruptionTrial] | None = None
    failures: list[Failed] = field(default_factory=list)

    @property
    def model(self) -> Method:
        """The model in question."""
        return self.methods[0]

    def truth(self, method: Method) -> Truth:
        """Say what of the annotations is compared with a method's label images."""
        return choose_truth(self.masks, method.divides)

    def score(self) -> None:
        """Let every method segment every image."""
        for method in self.methods:
            results = evaluate(method, self.pairs, self.truth(method))
            self.scores[method.name] = list(self._successes(results, len(self.pairs), method.name))

    def score_corruptions(self, seed: int) -> None:
        """Let the model in question segment corrupted images, of those that it could score as they are."""
        scored = {score.stem for score in self.scores[self.model.name]}
        pairs = [pair for pair in self.pairs if pair.stem in scored]
        results = score_corruptions(self.model, pairs, self.truth(self.model), CORRUPTIONS, seed)
        found = self._successes(results, len(pairs), f"{self.model.name}, corrupted")
        self.trials = [trial for trials in found for trial in trials]

    def _successes(self, results: Iterable[_Result | Failed], total: int, description: str) -> Iterator[_Result]:
        for result in tqdm(results, total=total, desc=description, unit="image", disable=None):
            if isinstance(result, Failed):
                self._fail(result)
            else:
                yield result

    def _fail(self, failed: Failed) -> None:
        known = {(failure.stem, str(failure.error)) for failure in self.failures}
        if (failed.stem, str(failed.error)) not in known:
            self.failures.append(failed)
            self.report(failed)
