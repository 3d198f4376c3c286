"""What the engine has to know about a network in addition to its weights."""

from collections.abc import Iterator

from torch import Tensor, nn

from napari_unetseg.networks.facts import NetworkFacts


class SegmentationNetwork(nn.Module):
    """A network that maps (N, in_channels, H, W) to (N, out_channels, H, W).

    Attributes
    ----------
    in_channels, out_channels
        Channels of the input and of the output, one a head.
    facts
        What follows from its architecture and arguments.
    """

    in_channels: int
    out_channels: int
    facts: NetworkFacts

    @property
    def depth(self) -> int:
        """Number of 2x2 poolings: maps line up with the input on multiples of 2^depth."""
        return self.facts.depth

    @property
    def receptive_radius(self) -> int | None:
        """Pixels beyond an output pixel, on either side, that can change its value; see `NetworkFacts`."""
        return self.facts.receptive_radius

    @property
    def in_bands(self) -> bool:
        """Whether `bands` gives more than one, so that even a large image needs little memory."""
        return self.facts.in_bands

    @property
    def numbers(self) -> int:
        """Trainable numbers in it."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def bytes_held(self) -> int:
        """Bytes of its weights."""
        return sum(tensor.nbytes for tensor in (*self.parameters(), *self.buffers()))

    def bands(self, x: Tensor) -> Iterator[Tensor]:
        """Give what the network answers in bands of rows (N, out_channels, rows, W), from the top."""
        yield self(x)

    def accepted_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size up to which an image of this size has to be padded; see `NetworkFacts`."""
        return self.facts.accepted_size(height, width)
