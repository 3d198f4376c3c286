import pytest
import torch

from napari_unetseg.errors import DeviceError
from napari_unetseg.inference.backends.device import choose_device


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
