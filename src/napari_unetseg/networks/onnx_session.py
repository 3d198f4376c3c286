"""An ONNX graph in ONNX Runtime's hands. Imports torch only where one is opened."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_unetseg.errors import ModelError, UnetsegError, is_out_of_memory
from napari_unetseg.language import Sentence

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MISSING_EXTRA = 'ONNX is not installed here. Install it: pip install "napari-unetseg[onnx]".'

FATAL = 4  # ONNX Runtime writes to stderr what is as grave as this, and raises the rest


def open_session(file: Path | bytes, *, cuda: bool = False, name: str = "") -> "InferenceSession":
    """Load an ONNX file, or the content of one.

    Raises
    ------
    UnetsegError
        If ONNX Runtime is not installed.
    ModelError
        If it cannot read the file; the message names it, or calls it `name`.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UnetsegError(MISSING_EXTRA) from error
    import torch

    providers: list[Any] = ["CPUExecutionProvider"]
    if cuda and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, ("CUDAExecutionProvider", {"use_tf32": "0"}))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    # By itself it starts a thread for each core of the machine, and ties it to that. As many as PyTorch's here.
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(file, options, providers=providers)
    except Exception as error:  # its errors share no other class
        if is_out_of_memory(error):
            raise
        raise ModelError(
            Sentence(
                "{file}: ONNX Runtime cannot read it ({reason}). Delete it and export it again.",
                file=name or file,
                reason=error,
            )
        ) from error
