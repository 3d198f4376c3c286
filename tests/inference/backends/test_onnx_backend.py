import sys

import numpy as np
import pytest

from napari_unetseg.errors import ModelError, UnetsegError
from napari_unetseg.inference.backends.device import Device
from napari_unetseg.inference.backends.make_backend import make_backend
from napari_unetseg.inference.backends.onnx_backend import OnnxBackend
from napari_unetseg.inference.backends.selection import ExecutionPlan
from napari_unetseg.inference.backends.torch_backend import TorchBackend
from napari_unetseg.networks.onnx_session import open_session

CPU = Device("cpu", "Tests run on the CPU.")


@pytest.fixture
def file(make, onnx_file):
    return onnx_file(make.network())


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_device_that_the_runtime_cannot_use_is_replaced_aloud(make, file, monkeypatch, kind):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    device = OnnxBackend(file, make.network(), make.heads, Device(kind, "It was found.")).device
    assert device.kind == "cpu"
    assert f"cannot use the {kind.upper()} device" in device.warning


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "cut.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match=r"cut\.onnx: ONNX Runtime cannot read it.* Delete it"):
        open_session(tmp_path / "cut.onnx")


def test_a_missing_package_is_named_with_its_extra(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UnetsegError, match=r'pip install "napari-unetseg\[onnx\]"'):
        open_session(file)


def test_backends_are_chosen_by_name(make, file, monkeypatch, batch):
    from napari_unetseg.inference.backends import onnx_export

    monkeypatch.setattr(onnx_export, "cached_onnx", lambda network, card: file)
    plans = [ExecutionPlan(name, "float32", "The test asks for it.") for name in ("torch", "onnxruntime")]
    chosen = {plan.backend: make_backend(plan, make.network(), make.card(), CPU) for plan in plans}
    assert [type(backend) for backend in chosen.values()] == [TorchBackend, OnnxBackend]
    np.testing.assert_allclose(chosen["torch"].run(batch), chosen["onnxruntime"].run(batch), atol=1e-5)
