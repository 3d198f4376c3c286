"""The processor's name."""

import os

import pytest

from napari_unetseg.inference.backends.processor import cpu_name

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
