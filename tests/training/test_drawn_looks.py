import numpy as np
import torch

from napari_unetseg.postprocessing.decoding import decode
from napari_unetseg.training.drawn_looks import draw_look
from napari_unetseg.training.seen import answer, for_network
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import find_model


def test_pictures_are_the_same_again_and_of_many_looks() -> None:
    one, again = (draw_look(np.random.default_rng(4), 96) for _ in range(2))
    assert one.shape == (3, 96, 96)
    assert np.array_equal(one, again)
    rng = np.random.default_rng(1)
    means = [float(draw_look(rng, 96).mean()) for _ in range(12)]
    assert min(means) < 0.3
    assert max(means) > 0.5


def test_a_model_of_nuclei_finds_objects_in_most() -> None:
    package, rng = find_model("nuclei"), np.random.default_rng(0)
    network, card = load_network(package), package.card
    pixels = torch.from_numpy(np.stack([draw_look(rng, 128) for _ in range(8)]))
    maps = answer(network, for_network(pixels, card), card, torch.device("cpu")).numpy()
    assert sum(bool(decode(one, card.heads, card.parameters).any()) for one in maps) >= 5
