"""Whether OpenVINO works on this machine: tried once in a process of its own, because it has crashed on some.

Run as a module, it is that process. Imports no torch.
"""

import hashlib
import json
import logging
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from napari_unetseg.cores import usable_cores
from napari_unetseg.errors import UnetsegError, last_line
from napari_unetseg.inference.backends.openvino.library import (
    cache_folder,
    load_openvino,
    openvino_core,
    openvino_version,
)
from napari_unetseg.inference.backends.processor import cpu_name
from napari_unetseg.io.atomic import whole_file
from napari_unetseg.language import Sentence

_SECONDS = 120
"""Most time that the process gets; it needs about one."""

_MAX_ERROR = {"float32": 1e-4, "bfloat16": 2e-2, "int8": 2e-2}
"""In units of the largest output."""

_log = logging.getLogger(__name__)


def openvino_works() -> bool:
    """Whether OpenVINO is installed and computes rightly on this machine.

    The first call for a version of OpenVINO on a processor takes a few seconds; its outcome is kept in the cache
    folder.
    """
    if openvino_version() is None:
        return False
    try:
        check_openvino()
    except UnetsegError as error:
        _log.warning("%s", error)
        return False
    return True


@cache
def check_openvino() -> None:
    """Make sure that OpenVINO computes rightly on this machine.

    Raises
    ------
    UnetsegError
        If it is not installed, or crashed or miscalculated when it was tried.
    """
    number = openvino_version()
    if number is None:
        load_openvino()
    file = _record(number)
    fault = _read(file)
    if fault is None:
        fault = _try_in_a_process()
        with whole_file(file) as path:
            path.write_text(json.dumps({"openvino": number, "processor": cpu_name(), "fault": fault}), encoding="utf-8")
    if fault:
        raise UnetsegError(
            Sentence(
                "OpenVINO {version} does not work on this machine: {fault}. Choose the backend torch, or install "
                "another version of OpenVINO. To have it tried again, delete {file}.",
                version=number,
                fault=fault,
                file=file,
            )
        )


def _record(number: str | None) -> Path:
    key = hashlib.sha256(f"{number}\n{platform.machine()}\n{cpu_name()}".encode()).hexdigest()[:16]
    return cache_folder() / f"works-{number}-{key}.json"


def _read(file: Path) -> str | None:
    """Return what was wrong when it was tried, "" for nothing; None if it has to be tried."""
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["fault"])
    except (OSError, ValueError, KeyError):
        return None


def _try_in_a_process() -> str:
    """Return what went wrong, or ""."""
    try:
        # The line is ours: an interpreter and a module of this package.
        ended = subprocess.run(  # noqa: S603
            [sys.executable, "-m", __name__], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UnetsegError(
            Sentence(
                "OpenVINO gave no answer within {seconds} seconds when it was tried. Try again when the machine is "
                "less busy, or choose the backend torch.",
                seconds=_SECONDS,
            )
        ) from error
    if ended.returncode == 0:
        return ""
    message = last_line(ended.stderr)
    if ended.returncode < 0 or not message:
        return f"it ended with status {ended.returncode} when it was tried"
    return message.rstrip(".")


def compute_samples() -> dict[str, float]:
    """Compute a small convolution in every precision; return how far each answer is off.

    Returns
    -------
    dict of str to float
        By precision, the largest difference from the same in numpy, in units of the largest value.
    """
    openvino = load_openvino()
    rng = np.random.default_rng(0)
    pixels = rng.random((1, 8, 24, 24), dtype=np.float32)
    kernels = rng.standard_normal((16, 8, 3, 3), dtype=np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (3, 3), axis=(2, 3))
    expected = np.einsum("nchwij,ocij->nohw", windows, kernels)
    differences = {}
    for precision in _MAX_ERROR:
        model = _convolution(openvino, pixels, kernels, in_int8=precision == "int8")
        hint = "bf16" if precision == "bfloat16" else "f32"
        compiled = openvino_core().compile_model(
            model, "CPU", {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": usable_cores()}
        )
        result = compiled(pixels)[0]
        differences[precision] = float(np.abs(result - expected).max() / np.abs(expected).max())
    return differences


def _convolution(openvino: Any, pixels: Any, kernels: Any, *, in_int8: bool) -> Any:
    operations = openvino.opset13
    image = operations.parameter([-1, 8, -1, -1], np.float32)
    left, right = image, operations.constant(kernels)
    if in_int8:
        left = operations.fake_quantize(left, *(np.float32(end) for end in (0, 1, 0, 1)), 256)
        reach = np.float32(np.abs(kernels).max())
        right = operations.fake_quantize(right, -reach, reach, -reach, reach, 255)
    result = operations.convolution(left, right, [1, 1], [0, 0], [0, 0], [1, 1])
    return openvino.Model([result], [image])


def report_check() -> None:
    """Compute the samples, and fail if one is off."""
    for precision, difference in compute_samples().items():
        if not difference <= _MAX_ERROR[precision]:
            sys.exit(f"a convolution in {precision} was off by {difference:.2g}")


if __name__ == "__main__":
    report_check()
