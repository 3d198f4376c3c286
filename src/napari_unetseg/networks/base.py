"""What the engine has to know about a network besides its weights."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from torch import Tensor, nn


class SegmentationNetwork(nn.Module, ABC):
    """A network that maps (N, in_channels, H, W) to (N, out_channels, H, W).

    Attributes
    ----------
    in_channels, out_channels
        Channels of the input and of the output, one a head.
    depth
        Number of 2x2 poolings: maps line up with the input on multiples of 2^depth.
    """

    in_channels: int
    out_channels: int
    depth: int

    @property
    @abstractmethod
    def receptive_radius(self) -> int | None:
        """Pixels beyond an output pixel, on either side, that can change its value.

        None where a layer takes statistics from the whole image, as InstanceNorm does: every output
        pixel then depends on every input pixel, and no tile can agree with the whole image.
        """

    @property
    def in_bands(self) -> bool:
        """Whether `bands` gives more than one, so that even a large image needs little memory."""
        return False

    def bands(self, x: Tensor) -> Iterator[Tensor]:
        """Give what the network answers in bands of rows (N, out_channels, rows, W), from the top."""
        yield self(x)

    def accepted_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size up to which an image of this size has to be padded.

        Tiles agree with the whole image where sides are multiples of 2^depth. A network that takes
        statistics from the image would see padding in them, so there an image is padded only if it
        could not be computed otherwise: each side to one pixel of the deepest map, and where that
        map would be one pixel in all, of which there are no statistics, to two by two.
        """
        grid: int = 2**self.depth
        if self.receptive_radius is not None:
            return -(-height // grid) * grid, -(-width // grid) * grid
        if max(height, width) < 2 * grid:
            return 2 * grid, 2 * grid
        return max(height, grid), max(width, grid)
