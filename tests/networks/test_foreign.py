"""Networks that another program wrote, whatever the order of their axes."""

import numpy as np
import pytest
import torch
from torch import nn

from napari_unetseg.errors import ModelError
from napari_unetseg.networks.foreign import OnnxGraph, TorchScriptProgram


class Turned(nn.Module):
    """Answers with the double and the triple of what it sees, in the axes that it is told."""

    def __init__(self, into: list[int], back: list[int]) -> None:
        super().__init__()
        self.into, self.back = into, back

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = x.permute(self.into)
        return torch.cat([seen, 2 * seen, 3 * seen], 1).permute(self.back)


@pytest.fixture
def program(torchscript):
    def program(module, **arguments):
        return TorchScriptProgram({"in_channels": 1, "out_channels": 2, **arguments}, torchscript(module), "a.pt")

    return program


@pytest.fixture
def batch():
    return torch.from_numpy(np.random.default_rng(0).random((3, 1, 5, 7), dtype=np.float32))


@pytest.mark.parametrize(
    ("input_axes", "output_axes", "into", "back"),
    [
        ("bcyx", "bcyx", [0, 1, 2, 3], [0, 1, 2, 3]),
        ("byxc", "byxc", [0, 3, 1, 2], [0, 2, 3, 1]),
        ("bcyx", "cbxy", [0, 1, 2, 3], [1, 0, 3, 2]),
        ("bczyx", "bczyx", [0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
        ("tbczyx", "bcyx", [1, 2, 4, 5, 0, 3], None),
    ],
)
def test_axes_are_brought_into_the_order_that_it_takes(program, batch, input_axes, output_axes, into, back):
    class Squeezed(Turned):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen = x.permute(self.into).squeeze(-1).squeeze(-1)
            return torch.cat([seen, 2 * seen, 3 * seen], 1)

    module = Turned(into, back) if back else Squeezed(into, [0])
    network = program(module, input_axes=input_axes, output_axes=output_axes, channels=[2, 0])
    torch.testing.assert_close(network(batch), torch.cat([3 * batch, batch], 1), rtol=0, atol=0)


class NoBatch(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert x.ndim == 2
        return x, torch.stack([x, -x])


def test_without_a_batch_axis_windows_go_one_by_one_and_an_answer_is_chosen_by_its_number(program, batch):
    network = program(NoBatch(), input_axes="yx", output_axes="cyx", output=1)
    torch.testing.assert_close(network(batch), torch.cat([batch, -batch], 1), rtol=0, atol=0)


class Misfit(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x], 1)[..., 1:-1, 1:-1]


def test_an_answer_of_another_size_is_refused_with_both_shapes(program, batch):
    with pytest.raises(ModelError, match=r"a\.pt: shown 3 x 1 x 5 x 7 .* answers with 3 x 2 x 3 x 5"):
        program(Misfit())(batch)


def test_too_few_channels_are_refused(program, batch):
    with pytest.raises(ModelError, match="at least 4 channels"):
        program(Turned([0, 1, 2, 3], [0, 1, 2, 3]), channels=[0, 3])(batch)


class Broken(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ torch.ones(2, 2)


def test_what_cannot_be_computed_is_said_with_the_size(program, batch):
    with pytest.raises(ModelError, match=r"a\.pt: this network cannot be computed on 1 channels of 5 x 7 pixels"):
        program(Broken())(batch)


def test_an_onnx_graph_answers_as_torch_does(foreign_content, batch):
    arguments = {"in_channels": 1, "out_channels": 2}
    answers = [
        kind(arguments, foreign_content(name), "a")(batch)
        for kind, name in ((OnnxGraph, "onnx_graph"), (TorchScriptProgram, "torchscript"))
    ]
    assert answers[0].shape == (3, 2, 5, 7)
    assert answers[0].std() > 0.01
    torch.testing.assert_close(*answers, rtol=1e-5, atol=1e-6)


def test_a_tensor_that_is_not_there_is_refused_with_those_that_are(foreign_content, batch):
    network = OnnxGraph({"in_channels": 1, "out_channels": 2, "output": "flows"}, foreign_content("onnx_graph"), "a")
    with pytest.raises(ModelError, match="no tensor 'flows', only maps"):
        network(batch)


def test_weights_are_counted(foreign_content):
    network = TorchScriptProgram({"in_channels": 1, "out_channels": 2}, foreign_content("torchscript"), "a.pt")
    assert (network.numbers, network.bytes_held) == (52, 208)
