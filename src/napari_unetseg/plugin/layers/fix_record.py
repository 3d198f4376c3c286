"""Which fixes a Labels layer shows, however often its last steps are undone and made again."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.layers import Labels

if TYPE_CHECKING:
    from napari_unetseg.postprocessing.fixes import Fix

FIXES_KEY = "fixes"
"""Under which a record has the fixes that its labels show, in order."""


@dataclass(eq=False)
class _Made:
    """A fix that was made.

    Attributes
    ----------
    step
        The change of pixels that napari's history has of it; None once that is past undoing.
    undone
        Whether it is undone now.
    settled
        Whether the result itself has it, and not its layer alone.
    objects
        Labels that it changed; of one that is settled, none.
    """

    fix: "Fix"
    step: object | None
    undone: bool = False
    settled: bool = False
    objects: tuple[int, ...] = ()


class FixRecord:
    """The fixes of one Labels layer.

    A fix is one step of the layer's own history. napari tells nobody what was undone, but hands the very same change of
    pixels from the steps that can be undone to those that can be made again and back: by that it is found again.

    Parameters
    ----------
    fixes
        Those that the labels show from the beginning, as a run that was repeated has made them.
    """

    def __init__(self, fixes: "Sequence[Fix]" = ()) -> None:
        self._made = [_Made(fix, None, settled=True) for fix in fixes]

    @property
    def fixes(self) -> "tuple[Fix, ...]":
        """Those that the labels show, in the order in which they were made."""
        return tuple(made.fix for made in self._made if not made.undone)

    @property
    def counts(self) -> Counter[str]:
        """How many of them there are, by kind."""
        return Counter(fix.kind for fix in self.fixes)

    @property
    def objects(self) -> tuple[int, ...]:
        """Labels that were changed by those fixes that are not settled."""
        return tuple(label for made in self._made if not made.undone for label in made.objects)

    def add(self, fix: "Fix", layer: Labels, objects: tuple[int, ...] = ()) -> None:
        """Note a fix that is the last step of a layer's history, and which labels it changed."""
        self.follow(layer)
        steps = _changes(layer, "_undo_history")
        self._made.append(_Made(fix, steps[-1] if steps else None, objects=objects))

    def follow(self, layer: Labels) -> bool:
        """Find out which fixes are undone now; tell whether that is otherwise than before."""
        before = self.fixes
        done = {id(change) for change in _changes(layer, "_undo_history")}
        undone = {id(change) for change in _changes(layer, "_redo_history")}
        for made in self._made:
            if made.step is None:
                continue
            if id(made.step) in undone or id(made.step) in done:
                made.undone = id(made.step) in undone
            else:
                made.step = None  # past undoing, or past being made again
        self._made = [made for made in self._made if made.step is not None or not made.undone]
        return before != self.fixes

    def forget(self) -> None:
        """Forget what is not settled: the layer that showed it is gone."""
        self._made = [made for made in self._made if made.settled]

    def settle(self) -> None:
        """Keep what the labels show for good, since the history of its layer is forgotten."""
        self._made = [_Made(fix, None, settled=True) for fix in self.fixes]


def _changes(layer: Labels, history: str) -> list[Any]:
    """Return the changes of pixels in a history of a layer, the last one last."""
    return [change for step in getattr(layer, history, ()) for change in step]
