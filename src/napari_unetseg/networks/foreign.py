"""Networks that another program wrote, as a file that is computed as it is: ONNX graphs and TorchScript programs.

They stand where a network of ours does. Whoever makes one has checked the file before (`zoo.foreign_files`).
"""

import io
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor

from napari_unetseg.errors import ModelError, UnetsegError, is_out_of_memory
from napari_unetseg.language import Sentence
from napari_unetseg.networks.base import SegmentationNetwork
from napari_unetseg.networks.facts import foreign_facts
from napari_unetseg.networks.foreign_arguments import foreign_arguments
from napari_unetseg.networks.onnx_session import open_session

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_FLOATS = {"tensor(float)": torch.float32, "tensor(double)": torch.float64, "tensor(float16)": torch.float16}


class ForeignNetwork(SegmentationNetwork):
    """A network in a file, which sees and answers (N, channels, H, W) as every network here, whatever its own axes.

    Parameters
    ----------
    architecture, arguments
        As the model's card has them; see `ForeignArguments`.
    name
        What the file is called in messages.

    Raises
    ------
    ValueError
        If the arguments do not say how it is fed.
    """

    def __init__(self, architecture: str, arguments: Mapping[str, Any], name: str) -> None:
        super().__init__()
        self.given = foreign_arguments(arguments)
        self.facts = foreign_facts(architecture, arguments)
        self.in_channels, self.out_channels = self.given.in_channels, self.given.out_channels
        self.name = name

    @abstractmethod
    def compute(self, shown: Tensor) -> Tensor:
        """Return its own answer to what it is shown, both with its own axes."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W).

        Raises
        ------
        ModelError
            If it cannot be computed; the message says on what.
        """
        return torch.cat([self._forward(part) for part in self.parts(x)])

    def _forward(self, part: Tensor) -> Tensor:
        try:
            answer = self.compute(self.shown(part))
        except UnetsegError:
            raise
        except Exception as error:  # those of runtimes share no other class
            self.raise_failure(error, part)
        return self.picked(answer, part)

    def parts(self, x: Tensor) -> tuple[Tensor, ...]:
        """Divide a batch into what it takes at once."""
        alone = not self.given.batch or "b" not in self.given.input_axes or "b" not in self.given.output_axes
        return torch.split(x, 1) if alone else (x,)

    def shown(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W) with the axes of its input."""
        axes = "bcyx"
        for axis in "bc":
            if axis not in self.given.input_axes:
                x, axes = x.squeeze(axes.index(axis)), axes.replace(axis, "")
        for axis in "zt":
            if axis in self.given.input_axes:
                x, axes = x.unsqueeze(-1), axes + axis
        return x.permute([axes.index(axis) for axis in self.given.input_axes])

    def picked(self, answer: Any, x: Tensor) -> Tensor:
        """Return the used channels of its answer to (N, C, H, W), float32 (N, out_channels, H, W).

        Raises
        ------
        ModelError
            If the answer is none to what it was shown.
        """
        if isinstance(answer, tuple | list):
            answer = answer[self.given.output if isinstance(self.given.output, int) else 0]
        axes = self.given.output_axes
        if not isinstance(answer, Tensor) or answer.ndim != len(axes):
            raise self._misfit(answer, x)
        for axis in "zt":
            if axis in axes:
                if answer.shape[axes.index(axis)] != 1:
                    raise self._misfit(answer, x)
                answer, axes = answer.squeeze(axes.index(axis)), axes.replace(axis, "")
        for axis in "bc":
            if axis not in axes:
                answer, axes = answer.unsqueeze(0), axis + axes
        answer = answer.permute([axes.index(axis) for axis in "bcyx"])
        used = list(self.given.channels) or list(range(self.out_channels))
        if (len(answer), *answer.shape[2:]) != (len(x), *x.shape[2:]) or answer.shape[1] <= max(used):
            raise self._misfit(answer, x)
        if used != list(range(answer.shape[1])):
            answer = answer[:, used]
        values: Tensor = answer.float()
        return values

    def raise_failure(self, error: Exception, x: Tensor) -> NoReturn:
        """Raise what its runtime raised on (N, C, H, W): a lack of memory as it is, all else as a sentence."""
        if is_out_of_memory(error):
            raise error
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise ModelError(
            Sentence(
                "{file}: this network cannot be computed on {channels} channels of {height} x {width} pixels "
                "({reason}). If it takes other sizes or axes, correct 'architecture.arguments' in its card; else ask "
                "its maker.",
                file=self.name,
                channels=x.shape[1],
                height=x.shape[2],
                width=x.shape[3],
                reason=lines[-1] if lines else type(error).__name__,
            )
        ) from error

    def _misfit(self, answer: Any, x: Tensor) -> ModelError:
        found = " x ".join(map(str, answer.shape)) if isinstance(answer, Tensor) else type(answer).__name__
        return ModelError(
            Sentence(
                "{file}: shown {shown} (axes {input}) the network answers with {found}, which does not fit "
                "'architecture.arguments' in the model's card (axes {output}, at least {channels} channels, the same "
                "height and width). Correct them.",
                file=self.name,
                shown=" x ".join(map(str, self.shown(x).shape)),
                input=self.given.input_axes,
                found=found,
                output=self.given.output_axes,
                channels=max(self.given.channels or (self.out_channels - 1,)) + 1,
            )
        )


class OnnxGraph(ForeignNetwork):
    """A network in an ONNX file, computed by ONNX Runtime.

    Parameters
    ----------
    arguments, name
        See `ForeignNetwork`.
    content
        What is in the file.
    """

    def __init__(self, arguments: Mapping[str, Any], content: bytes, name: str) -> None:
        super().__init__("onnx_graph", arguments, name)
        self.content = content
        self._session: InferenceSession | None = None

    @property
    def bytes_held(self) -> int:
        """Bytes of the file."""
        return len(self.content)

    def open(self, *, cuda: bool = False) -> "InferenceSession":
        """Load it.

        Raises
        ------
        UnetsegError, ModelError
            As `open_session` does, and if it has no tensors of the names on the card, or takes no numbers.
        """
        session = open_session(self.content, cuda=cuda, name=self.name)
        inputs = {tensor.name: tensor for tensor in session.get_inputs()}
        outputs = [tensor.name for tensor in session.get_outputs()]
        for wanted, there in ((self.given.input, list(inputs)), (self.given.output, outputs)):
            if isinstance(wanted, str) and wanted not in there:
                raise ModelError(
                    Sentence(
                        "{file}: the network has no tensor {name!r}, only {names}. Correct 'architecture.arguments'.",
                        file=self.name,
                        name=wanted,
                        names=", ".join(there),
                    )
                )
        if len(inputs) != 1:
            raise ModelError(
                Sentence(
                    "{file}: the network wants several inputs ({names}); only those with one can be used here.",
                    file=self.name,
                    names=", ".join(inputs),
                )
            )
        (only,) = inputs.values()
        if only.type not in _FLOATS:
            raise ModelError(
                Sentence(
                    "{file}: the network takes {type} rather than floating point numbers, which cannot be used here.",
                    file=self.name,
                    type=only.type,
                )
            )
        return session

    def let_go(self) -> None:
        """Forget the file, which a session has read."""
        self.content = b""

    def feed(self, session: "InferenceSession", shown: Tensor) -> tuple[list[str], dict[str, Any]]:
        """Return what of its answers is wanted, and what it is given, as `InferenceSession.run` takes them."""
        (only,) = session.get_inputs()
        outputs = [tensor.name for tensor in session.get_outputs()]
        wanted = self.given.output
        name = wanted if isinstance(wanted, str) else outputs[wanted or 0]
        return [name], {only.name: shown.to(_FLOATS[only.type]).contiguous().numpy()}

    def compute(self, shown: Tensor) -> Tensor:
        """Return its own answer, on the CPU."""
        if self._session is None:
            self._session = self.open()
        (answer,) = self._session.run(*self.feed(self._session, shown))
        return torch.from_numpy(answer)


class TorchScriptProgram(ForeignNetwork):
    """A network in a TorchScript file, computed by PyTorch without any Python of the file's.

    Parameters
    ----------
    arguments, name
        See `ForeignNetwork`.
    content
        What is in the file.

    Raises
    ------
    ModelError
        If PyTorch cannot read it.
    """

    def __init__(self, arguments: Mapping[str, Any], content: bytes, name: str) -> None:
        super().__init__("torchscript", arguments, name)
        try:
            # PyTorch would have people write other files; it is its readers who are warned.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                program = torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
        except Exception as error:  # its errors share no other class
            if is_out_of_memory(error):
                raise
            raise ModelError(
                Sentence(
                    "{file}: PyTorch cannot read this TorchScript program ({reason}). Copy it again, or ask its "
                    "maker to write it with a version of PyTorch up to {version}.",
                    file=name,
                    reason=str(error).strip().partition("\n")[0],
                    version=torch.__version__.partition("+")[0],
                )
            ) from error
        for parameter in program.parameters():
            parameter.requires_grad_(False)
        self.program = program.eval()

    def compute(self, shown: Tensor) -> Any:
        """Return its own answer, on the device that it is on."""
        # Without what PyTorch makes of a program as it runs, an answer does not depend on those before it.
        with torch.jit.optimized_execution(False):  # type: ignore[attr-defined]
            return self.program(shown)
