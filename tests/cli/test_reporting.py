"""What no command has put into words ends in one line where memory is to blame, and stays a defect elsewhere."""

import numpy as np
import pytest

from napari_unetseg.cli import segment_command


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 9 GiB"),
        RuntimeError("can't start new thread"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
    ids=str,
)
def test_a_lack_of_memory_anywhere_in_a_command_is_one_line(call, tmp_path, monkeypatch, error):
    def no_memory(*arguments):
        raise error

    np.save(tmp_path / "a.npy", np.zeros((32, 32), np.uint8))
    monkeypatch.setattr(segment_command, "open_service", no_memory)
    result = call("segment", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: not enough memory (")
    assert "close other programs" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_defect_is_no_lack_of_memory(call, tmp_path, monkeypatch):
    def defect(*arguments):
        raise RuntimeError("shape mismatch")

    np.save(tmp_path / "a.npy", np.zeros((32, 32), np.uint8))
    monkeypatch.setattr(segment_command, "open_service", defect)
    result = call("segment", tmp_path)
    assert isinstance(result.exception, RuntimeError)
