"""What is read before torch is imported, and that torch is not imported for it."""

import subprocess
import sys
from pathlib import Path

from napari_unetseg.plugin.workers import preload_torch


def test_shared_libraries_are_read_and_nothing_else(tmp_path: Path) -> None:
    for name in ("libtorch.so", "libgomp.so.1", "torch.dylib", "c10.dll"):
        (tmp_path / name).write_bytes(b"x" * 1000)
    (tmp_path / "torch.lib").write_bytes(b"x" * 10**4)
    (tmp_path / "folder").mkdir()
    assert preload_torch._read(tmp_path) == 4000


def test_what_is_not_there_is_left_to_the_import(tmp_path: Path) -> None:
    assert preload_torch._read(tmp_path / "nowhere") == 0
    (tmp_path / "dangling.so").symlink_to(tmp_path / "gone.so")
    assert preload_torch._read(tmp_path) == 0


def test_it_reads_torch_once_and_does_not_import_it() -> None:
    program = (
        "import sys\n"
        "from napari_unetseg.plugin.workers.preload_torch import read_torch_libraries\n"
        "assert read_torch_libraries() > 10**6\n"
        "assert read_torch_libraries.cache_info().misses == 1\n"
        "read_torch_libraries()\n"
        "assert read_torch_libraries.cache_info().misses == 1\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
