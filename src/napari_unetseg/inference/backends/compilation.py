"""Networks compiled for a GPU by PyTorch's Inductor, in the background, while the plain network answers."""

from torch import Tensor

from napari_unetseg.language import Sentence
from napari_unetseg.networks import SegmentationNetwork


class CompiledNetwork:
    """A network that is called as ever, and computed by compiled code as soon as there is some for the shape.

    It is called in the thread that launches work on the device, in inference mode, with the stream of that thread.

    Parameters
    ----------
    network
        In evaluation mode, on the device, in its precision and layout; not taken over.
    torch_name
        The device as PyTorch names it, such as ``"cuda:1"``.
    enabled
        False never compiles.
    """

    def __init__(self, network: SegmentationNetwork, torch_name: str, *, enabled: bool = True) -> None:
        self._network = network
        self._torch_name = torch_name
        self._enabled = enabled

    def __call__(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W), as the network does."""
        logits: Tensor = self._network(x)
        return logits

    @property
    def compilation(self) -> Sentence:
        """Say whether compiled code computes, or why not."""
        return Sentence("The network is not compiled.")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is being compiled; False where that takes longer than so many seconds."""
        return True

    def close(self) -> None:
        """Let compiled code and all that it holds go; the network is called as it is afterwards."""
