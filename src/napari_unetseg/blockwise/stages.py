"""What a job goes through, and what each step is to the one who leads and to those who work."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from napari_unetseg.blockwise.job import BlockJob
    from napari_unetseg.postprocessing.blocks import Block


class Unit(NamedTuple):
    """A piece of a stage's work.

    Attributes
    ----------
    plane
        Number of the plane of a stack, in the order of `numpy.ndindex`; 0 of a single plane.
    number
        Of the tile, or of the block, in the plane.
    """

    plane: int
    number: int


class Stage(Protocol):
    """A step of a job that every unit takes before the next step begins.

    `do` and `conclude` may be repeated, by any process, with the same outcome: a unit is done once its file is there,
    which is written whole.
    """

    @property
    def name(self) -> str:
        """Of the stage's folder, such as ``"network"``."""
        ...

    def units(self, job: "BlockJob") -> Iterable[Unit]:
        """Return all units, whether done or not, in the order in which they are best done."""
        ...

    def is_done(self, job: "BlockJob", unit: Unit) -> bool:
        """Whether a unit's file is there."""
        ...

    def do(self, job: "BlockJob", unit: Unit) -> None:
        """Do a unit, in any process; its file is written last."""
        ...

    def conclude(self, job: "BlockJob") -> None:
        """Put together what all units found, in the process that leads; does nothing where that is done already."""
        ...


@runtime_checkable
class TogetherStage(Stage, Protocol):
    """A stage of which a process does several units at once sooner than one after the other."""

    def do_together(self, job: "BlockJob", units: Sequence[Unit], finished: Callable[[Unit], None]) -> None:
        """Do units; `finished` is called for each that is done, in the calling thread."""
        ...


@runtime_checkable
class MapReadingStage(Stage, Protocol):
    """A stage of blocks of which one may be done as soon as the network has seen what it reads."""

    def reads(self, job: "BlockJob", unit: Unit) -> "Block | None":
        """Return the rows and columns whose maps a unit reads; None: it has to wait for the stage before."""
        ...
