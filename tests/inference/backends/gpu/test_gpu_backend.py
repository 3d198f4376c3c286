"""The backend of graphics cards, on the CPU in a card's place, and on what cards there are."""

import gc
import threading
import weakref
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from napari_unetseg.errors import Cancelled, ModelError
from napari_unetseg.image import Image
from napari_unetseg.inference.backends.device import Device, choose_device
from napari_unetseg.inference.backends.gpu import gpu_backend, uploaded_images
from napari_unetseg.inference.backends.gpu.gpu_backend import GpuBackend
from napari_unetseg.inference.backends.gpu.graphics_card import GraphicsCard
from napari_unetseg.inference.backends.gpu.transfers import Mark
from napari_unetseg.inference.normalisation import normalise
from napari_unetseg.inference.predict import predict_many
from napari_unetseg.inference.prediction import PredictOptions

PRETENDED = Device("cuda", "It is pretended.")
GPUS = [
    kind
    for kind, present in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()))
    if present
]


@pytest.fixture
def on_card(make):
    return lambda network, **options: GpuBackend(network, make.heads, PRETENDED, torch_name="cpu", **options)


def test_a_card_gives_what_the_processor_gives(make, on_card, batch):
    network = make.network()
    expected = make.backend(deepcopy(network)).run(batch)
    backend = on_card(network)
    assert (backend.precision, backend.in_bands, backend.device.kind) == ("float32", False, "cuda")
    np.testing.assert_allclose(backend.run(batch), expected, atol=1e-5)


class CudnnOfTwoMinds:
    """cuDNN where convolutions round otherwise than the rest, which PyTorch has no one flag for."""

    def __init__(self, convolutions):
        self.conv = SimpleNamespace(fp32_precision=convolutions)

    @property
    def allow_tf32(self):
        raise RuntimeError("cuDNN conv and cuDNN RNN have different TF32 flags.")


@pytest.mark.parametrize(("convolutions", "rounds"), [("tf32", True), ("ieee", False)])
def test_tf32_is_known_where_it_is_set_for_convolutions_alone(monkeypatch, convolutions, rounds):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (9, 0))
    monkeypatch.setattr(torch.backends, "cudnn", CudnnOfTwoMinds(convolutions))
    assert gpu_backend._rounds_to_tf32(torch.device("cuda")) is rounds


def test_a_network_goes_to_the_card_by_the_thread_that_launches(make, on_card, streams, monkeypatch):
    threads = []
    monkeypatch.setattr(streams, "rest", lambda: threads.append(threading.current_thread().name))
    on_card(make.network())
    assert [name.startswith("unetseg-cpu") for name in threads] == [True]


class Window:
    """A part of an image, which counts how often the host reads it."""

    def __init__(self, normalised, rows, columns, *, in_memory=True):
        self._normalised = normalised
        self.raw = normalised.raw if in_memory else None
        self.rows, self.columns = np.arange(*rows), np.arange(*columns)
        self.reads = 0

    def read(self, out):
        self.reads += 1
        self._normalised.read(self.rows, self.columns, out=out)


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def seen(card, pixels):
    return normalise(Image.of(pixels), card.normalisation, 3)


def answers(backend, windows):
    pending = backend.start(3, windows)
    try:
        return pending.result().copy()
    finally:
        pending.close()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3)])
def test_the_card_makes_the_windows_that_the_host_would(make, card, on_card, dtype, shape):
    backend, image = on_card(make.network()), seen(card, noise(*shape, dtype=dtype))
    places = [((0, 32), (0, 48)), ((8, 40), (12, 60))]
    windows, by_host = ([Window(image, *place, in_memory=raw) for place in places] for raw in (True, False))
    found = answers(backend, windows)
    np.testing.assert_array_equal(found, answers(backend, by_host))
    assert [window.reads for window in (*windows, *by_host)] == [0, 0, 1, 1]
    np.testing.assert_array_equal(answers(backend, [windows[0], by_host[1]]), found)


def test_an_image_goes_up_once_and_leaves_with_the_last_who_wants_it(make, card, on_card, monkeypatch):
    made = []
    device_pixels = uploaded_images.DevicePixels

    def note(raw, planes):
        pixels = device_pixels(raw, planes)
        made.append(weakref.ref(pixels))
        return pixels

    monkeypatch.setattr(uploaded_images, "DevicePixels", note)
    backend, image = on_card(make.network()), seen(card, noise(40, 60))
    for _ in range(3):
        answers(backend, [Window(image, (0, 32), (0, 32))])
    assert len(made) == 1
    assert made[0]() is not None
    del image
    gc.collect()
    assert made[0]() is None


def test_beyond_its_share_of_the_card_an_image_stays_on_the_host(make, card, on_card, monkeypatch):
    monkeypatch.setattr(gpu_backend, "_total_memory", lambda _: uploaded_images.SHARE * 40 * 60)
    backend = on_card(make.network())
    first, second = (Window(seen(card, noise(40, 60)), (0, 32), (0, 32)) for _ in range(2))
    found = answers(backend, [first])
    np.testing.assert_array_equal(answers(backend, [second]), found)
    assert (first.reads, second.reads) == (0, 1)


def test_an_image_for_which_there_is_no_room_stays_on_the_host(make, card, on_card, monkeypatch):
    def fail(raw, planes):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(uploaded_images, "DevicePixels", fail)
    backend = on_card(make.network())
    window = Window(seen(card, noise(40, 60)), (0, 32), (0, 32))
    with pytest.raises(MemoryError):
        answers(backend, [window])
    assert answers(backend, [window]).shape == (1, 2, 32, 32)
    assert window.reads == 1


def test_what_did_not_go_up_with_its_batch_is_staged_anew(make, card, on_card, monkeypatch):
    device_pixels = uploaded_images.DevicePixels
    first, second, *others = (Window(seen(card, noise(40, 60) + 10 * step), (0, 32), (0, 32)) for step in range(4))
    backend = on_card(make.network())

    def fail(raw, planes):
        if raw is first.raw:
            raise ValueError("this one is to blame")
        return device_pixels(raw, planes)

    expected = answers(backend, [second])
    monkeypatch.setattr(uploaded_images, "DevicePixels", fail)
    backend = on_card(make.network())
    with pytest.raises(ValueError, match="to blame"):
        answers(backend, [first, second])
    answers(backend, others)  # in the memory in which these lay
    np.testing.assert_array_equal(answers(backend, [second]), expected)


def test_a_lack_of_memory_takes_images_off_the_card(make, card, on_card):
    backend = on_card(make.network())
    window = Window(seen(card, noise(40, 60)), (0, 32), (0, 32))
    found = answers(backend, [window])
    backend.release_memory()
    np.testing.assert_array_equal(answers(backend, [window]), found)
    assert window.reads == 1


def test_what_a_batch_borrows_goes_back_whether_it_works_or_not(make, card, on_card):
    backend = on_card(make.network())
    image = seen(card, noise(40, 60))
    windows = [Window(image, (0, 32), (0, 32)), Window(image, (0, 32), (0, 32), in_memory=False)]
    pending = backend.start(3, windows)
    pending.result()
    assert backend.pools.output.report().leased_bytes > 0
    pending.close()
    network, backend._compiled = backend._compiled, torch.nn.Conv2d(7, 1, 1)
    with pytest.raises(RuntimeError, match="channels"):
        answers(backend, windows)
    backend._compiled = network
    answers(backend, windows)
    assert [pool.report().leased_bytes for pool in (backend.pools.input, backend.pools.output)] == [0, 0]


def test_a_failure_keeps_no_tensors(make, on_card, batch):
    backend, made = on_card(make.network()), []

    def fail(pixels):
        inner = pixels * 2
        made.append(weakref.ref(inner))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    backend._compiled = fail
    with pytest.raises(torch.OutOfMemoryError) as raised:
        backend.run(batch)
    assert made[0]() is None
    assert raised.value is not None


def test_after_unloading_nothing_holds_the_network(make, card, on_card):
    backend = on_card(make.network())
    answers(backend, [Window(seen(card, noise(40, 60)), (0, 32), (0, 32))])
    network = weakref.ref(backend._network)
    backend.unload()
    gc.collect()
    assert network() is None
    assert [pool.report().held_bytes for pool in (backend.pools.input, backend.pools.output)] == [0, 0]


def test_a_cancel_is_seen_while_a_batch_waits_for_the_card(make, card, on_card):
    backend = on_card(make.network())
    busy = threading.Event()
    backend._card.launch(lambda: busy.wait(60))
    polls = iter([False, False, True])
    pending = backend.start(3, [Window(seen(card, noise(40, 60)), (0, 32), (0, 32))], lambda: next(polls))
    with pytest.raises(Cancelled):
        pending.result()
    busy.set()
    pending.close()
    assert backend.pools.output.report().leased_bytes == 0


def test_pinned_memory_is_given_back_too(make, on_card, monkeypatch):
    backend, freed = on_card(make.network()), []
    monkeypatch.setattr(backend, "_card", SimpleNamespace(device=torch.device("cuda", 0)))
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: freed.append("card"))
    monkeypatch.setattr(torch.accelerator, "empty_host_cache", lambda: freed.append("host"), raising=False)
    backend.release_memory()
    assert freed == ["card", "host"]


class SlowMark(Mark):
    """A mark of a card that is not done before somebody waits or asks for the third time."""

    def __init__(self, stream):
        super().__init__(None)
        self.stream, self.asked = stream, 0

    def is_reached(self):
        self.asked += 1
        return self.asked > 2

    def wait(self):
        self.asked = 3


class Streams:
    """Transfers that remember which stream followed which."""

    pinned = False

    def __init__(self):
        self.now, self.log, self.marks = None, [], []

    def _through(self, name):
        @contextmanager
        def block():
            before, self.now = self.now, name
            try:
                yield
            finally:
                self.now = before

        return block()

    def uploading(self):
        return self._through("up")

    def computing(self):
        return self._through("compute")

    def downloading(self):
        return self._through("down")

    def mark(self):
        self.marks.append(SlowMark(self.now))
        return self.marks[-1]

    def rest(self):
        self.log.append((self.now, "rest"))

    def follow(self, mark):
        self.log.append((self.now, mark.stream))

    def copy(self, source, target):
        self.log.append((self.now, "copy"))
        target.copy_(source)


@pytest.fixture
def streams(monkeypatch):
    card = GraphicsCard(torch.device("cpu"))
    card.transfers = Streams()
    monkeypatch.setattr(gpu_backend, "graphics_card", lambda _: card)
    yield card.transfers
    card._thread.shutdown()


def test_each_stream_waits_for_the_one_before(make, card, on_card, streams):
    backend = on_card(make.network())
    image = seen(card, noise(40, 60))
    answers(backend, [Window(image, (0, 32), (0, 32)), Window(image, (0, 32), (0, 32), in_memory=False)])
    assert streams.log == [
        (None, "rest"),  # the weights
        ("up", "copy"),  # the image
        ("up", "copy"),  # the window that the host has read
        ("compute", "up"),
        ("compute", "up"),
        ("down", "compute"),
        ("down", "copy"),
    ]


def test_an_image_stays_on_the_card_until_the_batch_is_at_rest(make, card, on_card, monkeypatch):
    made = []
    device_pixels = uploaded_images.DevicePixels

    def note(raw, planes):
        made.append(weakref.ref(pixels := device_pixels(raw, planes)))
        return pixels

    monkeypatch.setattr(uploaded_images, "DevicePixels", note)
    backend = on_card(make.network())
    pending = backend.start(3, [Window(seen(card, noise(40, 60)), (0, 32), (0, 32))])
    pending.result()
    backend.release_memory()
    gc.collect()
    assert made[0]() is not None
    pending.close()
    gc.collect()
    assert made[0]() is None


def test_where_launching_fails_what_was_launched_comes_to_rest_first(make, card, on_card, streams):
    backend = on_card(make.network())
    backend._compiled = torch.nn.Conv2d(7, 1, 1)
    with pytest.raises(RuntimeError, match="channels"):
        answers(backend, [Window(seen(card, noise(40, 60)), (0, 32), (0, 32))])
    assert streams.log[-1] == (None, "rest")


def test_the_answer_is_read_when_it_has_come_down(make, card, on_card, streams):
    backend = on_card(make.network())
    window = Window(seen(card, noise(40, 60)), (0, 32), (0, 32))
    for cancel in (None, lambda: False):
        pending = backend.start(3, [window], cancel)
        pending.result()
        assert streams.marks[-1].stream == "down"
        assert streams.marks[-1].asked >= 3
        pending.close()


def test_images_of_any_size_are_predicted_as_on_the_processor(make, card, on_card):
    network = make.network()
    given = [Image.of(noise(*shape)) for shape in ((150, 90), (64, 64, 3), (1, 1), (64, 64), (30, 90))]
    options = PredictOptions(window=80, batch_size=4, largest_whole=10**6)
    expected = predict_many(given, card, make.backend(deepcopy(network)), options)
    backend = GpuBackend(network, make.heads, Device("mps", "It is pretended."), torch_name="cpu")
    for result, wanted in zip(predict_many(given, card, backend, options), expected, strict=True):
        np.testing.assert_allclose(result.probability, wanted.probability, atol=1e-5)
        assert result.tiles == wanted.tiles


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_rounded_maps_are_float32_but_for_rounding(make, on_card, batch, precision):
    network = make.network()
    expected = make.backend(deepcopy(network)).run(batch)
    backend = on_card(network, precision=precision)
    assert backend.precision == precision
    assert 1e-6 < np.abs(backend.run(batch) - expected).max() < 0.02


def test_what_float16_does_not_hold_is_computed_in_float32(make, card, on_card, caplog):
    network = make.network()
    first = network.init_conv.double_conv
    with torch.no_grad():
        # Beyond its largest number in the middle of the network, and back.
        first[1].weight.mul_(1e6)
        first[1].bias.mul_(1e6)
        first[4].weight.mul_(1e-6)
    image = seen(card, noise(40, 60))
    windows = [Window(image, (0, 32), (0, 32)), Window(image, (0, 32), (0, 32), in_memory=False)]
    expected = answers(on_card(deepcopy(network)), windows)
    backend = on_card(network, precision="float16")
    for _ in range(2):
        np.testing.assert_allclose(answers(backend, windows), expected, atol=1e-5)
    assert len([record for record in caplog.records if "float16" in record.message]) == 1
    backend.unload()
    assert [pool.report().held_bytes for pool in (backend.pools.input, backend.pools.output)] == [0, 0]


def test_a_stretched_image_is_stretched_on_the_card(make, card, on_card, monkeypatch):
    network = make.network()
    card = card.model_copy(update={"object_size": 10.0})
    given = [Image.of(noise(64, 48, 3)), Image.of(noise(90, 40, dtype=np.uint16))]
    options = PredictOptions(diameter=7.0)
    expected = list(predict_many(given, card, make.backend(deepcopy(network)), options))
    backend = GpuBackend(network, make.heads, Device("mps", "It is pretended."), torch_name="cpu")
    monkeypatch.setattr("napari_unetseg.inference.image_task.ImageTask.read", None)
    for result, wanted in zip(predict_many(given, card, backend, options), expected, strict=True):
        assert result.resized_to == wanted.resized_to != wanted.probability.shape[1:]
        np.testing.assert_allclose(result.probability, wanted.probability, atol=1e-5)


def test_turned_and_flipped_passes_work_on_a_card(make, card, on_card):
    network = make.network()
    given = [Image.of(noise(64, 48))]
    options = PredictOptions(augment=True)
    (expected,) = predict_many(given, card, make.backend(deepcopy(network)), options)
    backend = GpuBackend(network, make.heads, Device("mps", "It is pretended."), torch_name="cpu")
    (result,) = predict_many(given, card, backend, options)
    np.testing.assert_allclose(result.probability, expected.probability, atol=1e-5)
    np.testing.assert_allclose(result.agreement, expected.agreement, atol=1e-4)


def test_a_cancel_is_seen_before_a_batch(make, on_card, batch):
    with pytest.raises(Cancelled):
        on_card(make.network()).run(batch, lambda: True)


def test_an_unloaded_backend_says_so(make, on_card, batch):
    backend = on_card(make.network())
    backend.unload()
    with pytest.raises(ModelError, match="unloaded"):
        backend.run(batch)
    with pytest.raises(ModelError, match="unloaded"):
        backend.accepted_size(1, 1)


@pytest.mark.skipif(not GPUS, reason="no GPU")
@pytest.mark.parametrize("kind", GPUS)
def test_a_real_card_gives_what_the_processor_gives(make, batch, kind):
    network = make.network()
    expected = make.backend(deepcopy(network)).run(batch)
    backend = GpuBackend(network, make.heads, choose_device(kind))
    assert backend.device_memory_mb > 0
    # Matrix units may round inputs to ten bits (TF32).
    np.testing.assert_allclose(backend.run(batch), expected, atol=5e-3)
