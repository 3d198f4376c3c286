from copy import deepcopy
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import pytest
import torch

from napari_unetseg.errors import Cancelled, ModelError
from napari_unetseg.inference.backends import RawPixels, torch_backend
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.fused_convolution import fuses_convolutions
from napari_unetseg.inference.backends.torch_backend import TorchBackend
from napari_unetseg.networks import bands, unet
from napari_unetseg.zoo.card import Head


def logits_of(network, batch):
    with torch.inference_mode():
        return network(torch.from_numpy(batch))


def test_probabilities_are_the_sigmoid_of_the_logits(make, batch):
    network = make.network()
    expected = logits_of(deepcopy(network), batch).sigmoid().numpy()
    result = make.backend(network).run(batch)
    assert (result.dtype, result.shape) == (np.float32, (2, 2, 32, 48))
    np.testing.assert_allclose(result, expected, atol=1e-5)
    assert expected.std() > 0.05


def test_an_activation_that_the_network_applied_is_not_applied_again(make, batch):
    heads = (Head(name="foreground", activation="sigmoid"), Head(name="distance"))
    network = make.network()
    expected = logits_of(deepcopy(network), batch).numpy()
    result = make.backend(network, heads).run(batch)
    np.testing.assert_allclose(result[:, 0], expected[:, 0], atol=1e-5)
    np.testing.assert_allclose(result[:, 1], 1 / (1 + np.exp(-expected[:, 1])), atol=1e-5)


def test_bfloat16_is_float32_but_for_rounding(make, batch):
    network = make.network()
    expected = make.backend(deepcopy(network)).run(batch)
    backend = TorchBackend(network, make.heads, Device("cpu", "Tests run on the CPU."), precision="bfloat16")
    result = backend.run(batch)
    assert (backend.precision, result.dtype) == ("bfloat16", np.float32)
    # Eight significant bits, through a dozen layers; in a logit that is next to 0 it may be more.
    assert 1e-5 < np.abs(result - expected).std() < 0.005


def test_bfloat16_is_the_same_on_every_run_and_in_any_batch(make, batch):
    backend = TorchBackend(make.network(), make.heads, Device("cpu", "Tests run on the CPU."), precision="bfloat16")
    together = backend.run(batch)
    np.testing.assert_array_equal(backend.run(batch), together)
    np.testing.assert_array_equal(backend.run(batch[1:]), together[1:])


def test_a_grey_image_is_the_same_beside_a_coloured_one(make, batch):
    backend = TorchBackend(make.network(), make.heads, Device("cpu", "Tests run on the CPU."), precision="bfloat16")
    grey = batch.copy()
    grey[0] = grey[0, :1]
    together = backend.run(grey)
    np.testing.assert_array_equal(backend.run(grey[:1]), together[:1])
    np.testing.assert_array_equal(backend.run(batch[1:]), together[1:])


@dataclass
class Window:
    """All of an image, which notes how many channels are asked for."""

    raw: RawPixels
    asked: list[int] = field(default_factory=list)

    @property
    def rows(self):
        return np.arange(self.raw.planes.shape[1])

    @property
    def columns(self):
        return np.arange(self.raw.planes.shape[2])

    def read(self, out):
        self.asked.append(len(out))
        out[:] = self.raw.planes


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_channels_that_are_the_same_are_read_once_where_that_will_do(make, batch, precision):
    backend = TorchBackend(make.network(), make.heads, Device("cpu", "Tests run on the CPU."), precision=precision)
    plane = Window(RawPixels(batch[0, :1], 3, ((0.0, 1.0),)))
    planes = Window(RawPixels(batch[0], 3, ((0.0, 1.0),)))
    ranges = Window(RawPixels(batch[0, :1], 3, ((0.0, 1.0),) * 3))
    expected = backend.run(np.repeat(batch[:1, :1], 3, axis=1))
    np.testing.assert_array_equal(backend.start(3, [plane]).result(), expected)
    np.testing.assert_array_equal(backend.start(3, [planes]).result(), backend.run(batch[:1]))
    backend.start(3, [ranges]).close()
    reads_once = precision == "bfloat16" and fuses_convolutions()
    assert plane.asked == [1 if reads_once else 3]
    assert planes.asked == ranges.asked == [3]


def test_without_fused_convolutions_bfloat16_is_computed_as_well(make, batch, monkeypatch):
    monkeypatch.setattr(torch_backend, "fuses_convolutions", lambda: False)
    network = make.network()
    expected = make.backend(deepcopy(network)).run(batch)
    result = TorchBackend(network, make.heads, Device("cpu", "Tests run on the CPU."), precision="bfloat16").run(batch)
    assert 1e-5 < np.abs(result - expected).std() < 0.005


def test_a_window_in_bands_gives_the_same_and_stops_between_them(make, batch, monkeypatch):
    monkeypatch.setattr(bands, "BAND", 128)
    monkeypatch.setattr(unet, "SMALL", 128)
    network = make.network()
    expected = logits_of(deepcopy(network), batch).sigmoid().numpy()
    backend = make.backend(network)
    assert backend.in_bands
    polls = count()
    np.testing.assert_allclose(backend.run(batch, lambda: next(polls) < 0), expected, atol=1e-5)
    last = next(polls) - 1
    polls, out = count(), np.zeros_like(expected)
    with pytest.raises(Cancelled):
        backend.run(batch, lambda: next(polls) == last, out)
    written = out.any(axis=(0, 1, 3))
    assert written[0]
    assert not written[-1]


def test_it_says_what_tiles_it_needs(make):
    backend = make.backend(make.network((2, 2, 2)))
    assert (backend.grid, backend.receptive_radius, backend.accepted_size(9, 30)) == (4, 23, (12, 32))
    whole = make.backend(make.network(norm="instance"))
    assert (whole.receptive_radius, whole.accepted_size(9, 30)) == (None, (9, 30))
    assert backend.precision == "float32"
    assert backend.device_memory_mb is None


def test_a_cancel_stops_inside_a_forward_pass(backend, batch):
    polls = iter([False, False, False, True])
    with pytest.raises(Cancelled):
        backend.run(batch, lambda: next(polls))
    assert next(polls, None) is None


def test_every_layer_asks_whether_to_go_on(backend, batch):
    polls = []
    backend.run(batch, lambda: bool(polls.append(None)))
    # Ten convolutions in double blocks, two risings, one to the heads, and what stands between them.
    assert len(polls) >= 13


def test_after_a_cancel_the_backend_works_as_before(backend, batch):
    before = backend.run(batch)
    with pytest.raises(Cancelled):
        backend.run(batch, lambda: True)
    assert np.array_equal(backend.run(batch), before)


def test_an_unloaded_backend_says_so(make, batch):
    backend = make.backend(make.network())
    backend.unload()
    backend.unload()
    with pytest.raises(ModelError, match="unloaded"):
        backend.run(batch)
    with pytest.raises(ModelError, match="unloaded"):
        backend.accepted_size(1, 1)
