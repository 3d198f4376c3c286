"""Names of devices."""

from napari_unetseg.inference.backends.processor import cpu_name
from napari_unetseg.service.profile import device_name


def test_a_device_is_named_after_its_hardware(monkeypatch):
    assert device_name("cpu") == cpu_name()
    assert cpu_name() in device_name("mps") != cpu_name()
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "NVIDIA Something")
    assert device_name("cuda") == "NVIDIA Something"
