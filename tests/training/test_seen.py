from pathlib import Path

import numpy as np
import pytest
import torch

from napari_unetseg.image import Image
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.networks import build
from napari_unetseg.samples import nuclei_with_truth
from napari_unetseg.training.corrected_images import CorrectedImage
from napari_unetseg.training.improve import improve
from napari_unetseg.training.seen import for_network, in_unit_range, logits
from napari_unetseg.zoo.card import Head, MeanStd, ModelCard
from napari_unetseg.zoo.packaging import write_package
from napari_unetseg.zoo.registry import read_package

CPU = torch.device("cpu")


@pytest.fixture
def package(tmp_path: Path):
    """A small network of one channel, with other statistics and an answer that is a probability already."""
    torch.manual_seed(0)
    arguments = {"in_channels": 1, "out_channels": 1, "features": [4, 8], "norm": "instance"}
    fields = {
        "name": "grey",
        "display_name": "Grey",
        "description": "",
        "architecture": {"name": "unet", "arguments": arguments},
        "input_channels": 1,
        "normalisation": MeanStd(mean=(0.4,), std=(0.2,)),
        "outputs": (Head(name="foreground", activation="sigmoid"),),
        "decoder": "threshold",
        "licence": "none",
    }
    write_package(tmp_path / "grey", fields, build("unet", arguments).state_dict())
    return read_package(tmp_path / "grey", "path")


def test_pixels_come_back_as_the_network_takes_them(package) -> None:
    image = Image(np.arange(256, dtype=np.uint8).reshape(16, 16))
    seen = normalise(image, package.card.normalisation, 1).array
    unit = in_unit_range(seen, package.card)
    assert (unit.min(), unit.max()) == pytest.approx((0, 1), abs=1e-6)
    torch.testing.assert_close(for_network(torch.from_numpy(unit), package.card), torch.from_numpy(seen))
    batch = torch.from_numpy(unit).expand(2, 3, 16, 16)
    assert for_network(batch, package.card).shape == (2, 1, 16, 16)


def test_probabilities_become_logits_and_odd_sizes_keep_theirs(package) -> None:
    class Sure(torch.nn.Module):
        def accepted_size(self, height: int, width: int) -> tuple[int, int]:
            return 16, 16

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            assert pixels.shape[2:] == (16, 16)
            return torch.full_like(pixels[:, :1], 0.75)

    found = logits(Sure(), torch.zeros(2, 1, 13, 11), package.card, CPU)
    assert found.shape == (2, 1, 13, 11)
    torch.testing.assert_close(found.sigmoid(), torch.full((2, 1, 13, 11), 0.75))


def test_any_kind_of_network_can_be_improved(package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_unetseg.training.replay.PICTURES", (nuclei_with_truth,))
    monkeypatch.setattr("napari_unetseg.training.replay.POOL", (4, 4))
    monkeypatch.setattr("napari_unetseg.training.lessons.CROP", 64)
    image, labels = nuclei_with_truth()
    corrected = CorrectedImage("nuclei", Image(image.array[:128, :128]), labels[:128, :128])
    card: ModelCard = improve(
        package, [corrected], tmp_path / "better", tmp_path / "run", steps=4, device="cpu", report=lambda event: None
    )
    assert card.scores["after"]["dice"] >= 0
    assert read_package(tmp_path / "better", "path").card.input_channels == 1
