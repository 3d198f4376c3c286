"""What a job goes through, and what each step is to the one who leads and to those who work."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from napari_unetseg.blockwise.job import BlockJob


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
