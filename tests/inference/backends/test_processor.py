"""The processor's name, and what graphics cards are fast in."""

import os

import pytest
import torch

from napari_unetseg.inference.backends.processor import cpu_name, fast_gpu_precisions

THREADS = f"({os.cpu_count()} threads)"


def test_linux_names_the_processor_in_a_file(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel\t\t: 17\nmodel name\t: Some  CPU @ 2.50GHz\n\nmodel name\t: Another\n")
    assert cpu_name(file) == f"Some CPU @ 2.50GHz {THREADS}"


@pytest.mark.parametrize("content", [None, "processor : 0\nBogoMIPS : 48.00\n"])
def test_without_such_a_name_python_is_asked(tmp_path, monkeypatch, content):
    if content is not None:
        (tmp_path / "cpuinfo").write_text(content)
    monkeypatch.setattr("platform.processor", lambda: "armv8")
    assert cpu_name(tmp_path / "cpuinfo") == f"armv8 {THREADS}"
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert cpu_name(tmp_path / "cpuinfo") == f"aarch64 {THREADS}"


@pytest.mark.parametrize(
    ("name", "capability", "precisions"),
    [
        ("NVIDIA H100", (9, 0), ("float16", "bfloat16")),
        ("NVIDIA GeForce RTX 3060", (8, 6), ("float16", "bfloat16")),
        ("NVIDIA GeForce RTX 2080", (7, 5), ("float16",)),
        ("Tesla V100", (7, 0), ("float16",)),
        ("NVIDIA GeForce GTX 1660", (7, 5), ()),
        ("NVIDIA GeForce GTX 1080", (6, 1), ()),
    ],
)
def test_a_card_is_fast_in_what_it_has_units_for(monkeypatch, name, capability, precisions):
    asked = []
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda card: asked.append(card) or capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _card: name)
    assert fast_gpu_precisions("cuda:1") == precisions
    assert asked == ["cuda:1"]


def test_cards_of_others_compute_in_float32(monkeypatch):
    assert fast_gpu_precisions("mps") == ()
    monkeypatch.setattr(torch.version, "hip", "6.2")
    assert fast_gpu_precisions("cuda") == ()
