from types import SimpleNamespace

import psutil
import pytest
import torch

from napari_unetseg.errors import DeviceError
from napari_unetseg.inference.backends import device
from napari_unetseg.inference.backends.device import choose_device, count_workers, free_memory, total_memory


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def broken_gpu(monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("no kernel image is available\nand forty lines more")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch, "ones", fail)


@pytest.mark.usefixtures("no_gpu")
class TestWithoutGpu:
    def test_auto_is_the_cpu_without_alarm(self):
        device = choose_device()
        assert (device.kind, device.warning) == ("cpu", None)
        assert device.reason == "PyTorch finds no GPU."

    def test_cpu_is_what_was_asked_for(self):
        device = choose_device("cpu")
        assert (device.kind, device.warning) == ("cpu", None)

    @pytest.mark.parametrize("request_", ["cuda", "mps"])
    def test_an_absent_device_falls_back_aloud(self, request_):
        device = choose_device(request_)
        assert device.kind == "cpu"
        assert request_.upper() in device.warning
        assert "CPU instead" in device.warning

    @pytest.mark.parametrize("request_", ["cuda", "mps"])
    def test_an_absent_device_is_an_error_without_fallback(self, request_):
        with pytest.raises(DeviceError, match=request_.upper()):
            choose_device(request_, fallback_to_cpu=False)

    @pytest.mark.parametrize("fallback", [True, False])
    def test_an_unknown_word_is_an_error_that_lists_the_known(self, fallback):
        with pytest.raises(DeviceError, match=r"'tpu'.*auto, cpu, cuda, mps"):
            choose_device("tpu", fallback_to_cpu=fallback)


@pytest.mark.usefixtures("broken_gpu")
class TestWithBrokenGpu:
    @pytest.mark.parametrize("request_", ["auto", "cuda"])
    def test_it_falls_back_and_says_what_failed(self, request_):
        device = choose_device(request_)
        assert device.kind == "cpu"
        assert "no kernel image" in device.warning
        assert "forty" not in device.warning

    def test_it_is_an_error_without_fallback(self):
        with pytest.raises(DeviceError, match="no kernel image"):
            choose_device("cuda", fallback_to_cpu=False)


@pytest.mark.parametrize(
    ("kind", "present"), [("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())]
)
def test_a_gpu_that_works_is_chosen(kind, present):
    if not present:
        pytest.skip(f"no {kind} device")
    assert choose_device(kind).kind == kind
    assert choose_device("auto").kind in ("cuda", "mps")


@pytest.fixture
def two_cards(monkeypatch):
    """Two cards, of which those in the set that is returned do not work."""
    broken = set()

    def try_out(name):
        if name in broken:
            raise RuntimeError("no kernel image is available\nand forty lines more")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: ("One", "Two")[index])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(device, "_try_out", try_out)
    return broken


class TestWithTwoCards:
    @pytest.mark.parametrize(("request_", "word"), [("auto", "found"), ("cuda", "asked for"), ("cuda:0", "asked for")])
    def test_the_first_is_taken(self, two_cards, request_, word):
        chosen = choose_device(request_)
        assert (chosen.kind, chosen.index, chosen.torch_name, chosen.name) == ("cuda", 0, "cuda:0", "cuda:0")
        assert (chosen.reason, chosen.warning) == (f"The GPU One (cuda:0) was {word}.", None)

    def test_one_can_be_named(self, two_cards):
        chosen = choose_device("cuda:1")
        assert (chosen.index, chosen.torch_name, chosen.name) == (1, "cuda:1", "cuda:1")
        assert chosen.reason == "The GPU Two (cuda:1) was asked for."

    def test_the_other_workers_have_the_other_cards(self, two_cards):
        assert [count_workers(request) for request in ("auto", "cuda", "cuda:1", "cpu")] == [2, 2, 1, 1]
        chosen = choose_device("auto", worker=1)
        assert (chosen.index, chosen.reason) == (1, "The GPU Two (cuda:1) was found.")

    @pytest.mark.parametrize("request_", ["auto", "cuda"])
    def test_one_that_does_not_work_is_left_out_aloud(self, two_cards, request_):
        two_cards.add("cuda:0")
        chosen = choose_device(request_)
        assert (chosen.kind, chosen.index) == ("cuda", 1)
        assert chosen.warning == (
            "PyTorch finds the graphics card cuda:0, but it does not work (no kernel image is available). "
            "It is left out."
        )

    @pytest.mark.parametrize("request_", ["cuda:0", "cuda:2"])
    def test_one_that_is_named_and_fails_is_replaced_by_the_cpu(self, two_cards, request_):
        two_cards.add("cuda:0")
        chosen = choose_device(request_)
        assert (chosen.kind, chosen.name) == ("cpu", "cpu")
        assert request_ in chosen.warning
        with pytest.raises(DeviceError, match=request_):
            choose_device(request_, fallback_to_cpu=False)

    def test_where_none_works_both_faults_are_told(self, two_cards):
        two_cards.update(["cuda:0", "cuda:1"])
        chosen = choose_device("auto")
        assert chosen.kind == "cpu"
        assert "card cuda:0," in chosen.reason
        assert "card cuda:1," in chosen.reason


@pytest.mark.parametrize("word", ["cuda:", "cuda:-1", "cuda:x", "cpu:0", "CUDA", ""])
def test_other_words_are_no_devices(word):
    with pytest.raises(DeviceError, match="There is no device"):
        choose_device(word)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_card_there_is_one_worker():
    assert [count_workers(request) for request in ("auto", "cuda", "cpu")] == [1, 1, 1]


def test_a_full_card_is_no_broken_one(monkeypatch):
    def full(*_size, device):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _index: "One")
    monkeypatch.setattr(torch, "ones", full)
    chosen = choose_device("cuda")
    assert (chosen.name, chosen.torch_name, chosen.reason) == ("cuda", "cuda:0", "The GPU One was asked for.")


def test_memory_is_that_of_the_card(two_cards, monkeypatch):
    properties = [SimpleNamespace(total_memory=size) for size in (8, 4)]
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties[index])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: ((5, 8), (1, 4))[index])
    first, second = choose_device("cuda"), choose_device("cuda:1")
    assert [total_memory(one) for one in (first, second)] == [8, 4]
    assert [free_memory(one) for one in (first, second)] == [5, 1]
    assert total_memory(choose_device("cpu")) == psutil.virtual_memory().total >= free_memory(choose_device("cpu")) > 0
