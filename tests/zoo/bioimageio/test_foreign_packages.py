"""Packages that bring their own network: run once they are allowed, and as they say."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tests.zoo.bioimageio.conftest import described_0_4, described_0_5, hashed, sigmoid, write_description, write_files
from torch import nn

from napari_unetseg.errors import Cancelled, ModelError
from napari_unetseg.image import Image
from napari_unetseg.service import SegmentationService
from napari_unetseg.service.package_check import answer_of
from napari_unetseg.zoo import registry, user_models
from napari_unetseg.zoo.bioimageio.package_conversion import convert_bioimageio
from napari_unetseg.zoo.card import Head
from napari_unetseg.zoo.registry import find_model
from napari_unetseg.zoo.user_models import add_model, copy_package, examine

KERNEL = np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1]).astype(np.float32)[None, None] / 40
ZERO_MEAN = {"id": "zero_mean_unit_variance", "kwargs": {"axes": ["channel", "y", "x"], "eps": 1e-6}}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is allowed yet."""
    for module in (registry, user_models):
        monkeypatch.setattr(module, "user_model_folder", lambda: tmp_path / "home" / "models")


def picture(side: int = 64) -> NDArray[np.float32]:
    y, x = np.mgrid[:side, :side]
    discs = [np.exp(-((y - a) ** 2 + (x - b) ** 2) / 40) for a, b in ((15, 15), (40, 20), (45, side - 20))]
    return (50 + 400 * np.sum(discs, axis=0))[None, None].astype(np.float32)


def blurred(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the network computes: a channel that says nothing, and the objects."""
    prepared = (pixels - pixels.mean()) / (pixels.std() + 1e-6)
    found = torch.conv2d(torch.from_numpy(prepared), torch.from_numpy(KERNEL), padding=2)
    return torch.cat([-found, found], 1).numpy()


def write_onnx(path: Path, channels: int = 2, gain: float = 1) -> None:
    weights = (gain * np.concatenate([-KERNEL, KERNEL])[2 - channels :]).astype(np.float32)
    shapes = [["n", count, "h", "w"] for count in (1, channels)]
    put_in, out = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in zip(("whatever", "answer"), shapes, strict=True)
    )
    node = helper.make_node("Conv", ["whatever", "w"], ["answer"], pads=[2, 2, 2, 2])
    graph = helper.make_graph([node], "blur", [put_in], [out], [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


class Blur(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolve = nn.Conv2d(1, 2, 5, padding=2, bias=False)
        self.convolve.weight.data = torch.from_numpy(np.concatenate([-KERNEL, KERNEL]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.convolve(x)  # type: ignore[no-any-return]


@pytest.fixture
def write_foreign(tmp_path: Path) -> Callable[[str], Path]:
    def write(kind: str) -> Path:
        folder, pixels = tmp_path / kind, picture()
        write_files(folder, nn.Identity(), pixels, sigmoid(blurred(pixels)))
        described = described_0_5(folder, [ZERO_MEAN], [{"id": "sigmoid"}], ["background", "nucleus"])
        if kind == "onnx":
            write_onnx(folder / "net.onnx")
            entry: dict[str, Any] = {**hashed(folder / "net.onnx"), "opset_version": 17}
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of PyTorch, whose own format it is
                torch.jit.script(Blur().eval()).save(folder / "net.pt")
            entry = {**hashed(folder / "net.pt"), "pytorch_version": "2.6.0"}
        # The Python code that the state dict belongs to is nothing that can be used.
        return write_description(folder, described | {"weights": {**described["weights"], kind: entry}})

    return write


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_a_network_of_others_runs_once_it_is_allowed(
    kind: str, write_foreign: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = write_foreign(kind)
    with pytest.raises(ModelError, match=r"brings its own network.*trust Ada Maker.*--allow-foreign-network"):
        convert_bioimageio(folder, tmp_path / "mine", answer=answer_of)
    assert not (tmp_path / "mine").exists()
    converted = convert_bioimageio(folder, tmp_path / "mine", consent=True, answer=answer_of)
    card = converted.model.card
    assert card.heads == ("foreground",)
    assert (card.architecture.arguments["channels"], card.architecture.arguments["halo"]) == ([1], 4)
    assert converted.comparison is not None
    assert converted.comparison.largest < 1e-5
    # It may run from now on, in any size: divided with its halo, the answer is that of the whole.
    pixels = picture(200)
    found = SegmentationService(tmp_path / "mine", "cpu").segment(Image(pixels[0, 0]))
    np.testing.assert_allclose(found.probability[0], sigmoid(blurred(pixels))[0, 1], atol=1e-5)
    assert found.labels[45, 180] > 0


def test_the_window_and_the_shell_ask_once(write_foreign: Callable[[str], Path], tmp_path: Path) -> None:
    candidate = examine(write_foreign("onnx"))
    assert candidate.needs_consent
    assert candidate.parameters == (0,)
    with pytest.raises(ModelError, match="brings its own network"):
        add_model(candidate, {"name": "blur", "display_name": "Blur"}, answer=answer_of)
    add_model(candidate, {"name": "blur", "display_name": "Blur"}, consent=True, answer=answer_of)
    assert find_model("blur").card.display_name == "Blur"
    assert not examine(candidate.source).needs_consent


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_a_package_that_its_check_refuses_is_not_allowed_to_run(
    kind: str, write_foreign: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = write_foreign(kind)
    candidate = examine(folder)
    wrong = np.zeros_like(picture()[0])
    with pytest.raises(ModelError, match="does not answer as the package says"):
        convert_bioimageio(folder, tmp_path / "mine", consent=True, answer=lambda model, image: wrong)
    assert examine(folder).needs_consent
    with pytest.raises(Cancelled):
        add_model(candidate, {"name": "blur", "display_name": "Blur"}, lambda: True, consent=True, answer=answer_of)
    assert examine(folder).needs_consent


def test_a_model_folder_of_somebody_else_is_asked_for_too(
    write_foreign: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert_bioimageio(write_foreign("onnx"), tmp_path / "mine", consent=True)
    monkeypatch.setattr(registry, "user_model_folder", lambda: tmp_path / "of another user" / "models")
    assert examine(tmp_path / "mine").needs_consent
    with pytest.raises(ModelError, match="was not allowed to run on this computer"):
        copy_package(tmp_path / "mine", tmp_path / "copy", {})
    model = copy_package(tmp_path / "mine", tmp_path / "allowed", {"name": "other"}, consent=True)
    assert answer_of(model, Image(picture()[0, 0])).shape == (1, 64, 64)


def test_logits_without_a_sigmoid_are_told(tmp_path: Path) -> None:
    folder, pixels = tmp_path / "given", picture()
    write_files(folder, nn.Identity(), pixels, 2 * blurred(pixels)[:, 1:])
    described = described_0_4(folder, [{"name": "zero_mean_unit_variance", "kwargs": {"axes": "yx"}}], [], 1)
    described["inputs"][0]["preprocessing"][0]["kwargs"]["mode"] = "per_sample"
    write_onnx(folder / "net.onnx", 1, gain=2)
    write_description(folder, described | {"weights": {"onnx": {"source": "net.onnx", "opset_version": 17}}})
    converted = convert_bioimageio(folder, tmp_path / "mine", consent=True, answer=answer_of)
    assert converted.model.card.outputs == (Head(name="foreground", activation="none"),)
    (remark,) = converted.proposal.remarks
    assert "no sigmoid, so it is taken as logits" in remark
    np.save(folder / "test_output.npy", blurred(pixels)[:, 1:])
    with pytest.raises(ModelError, match=r"values from -0\.961 to 8\.82, which are no probabilities"):
        convert_bioimageio(folder, tmp_path / "again", consent=True, answer=answer_of)


def test_a_damaged_graph_is_refused_and_nothing_is_left(write_foreign: Callable[[str], Path], tmp_path: Path) -> None:
    folder = write_foreign("onnx")
    (folder / "net.onnx").write_bytes(b"nothing of the kind")
    described = (folder / "rdf.yaml").read_text(encoding="utf-8")
    lines = [line for line in described.splitlines() if "sha256" not in line]
    (folder / "rdf.yaml").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ModelError, match="no ONNX file"):
        convert_bioimageio(folder, tmp_path / "mine", consent=True, answer=answer_of)
    assert not (tmp_path / "mine").exists()
