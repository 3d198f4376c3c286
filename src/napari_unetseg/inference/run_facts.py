"""How a network is computed, in plain values: a result records them, and a server tells them. Imports no torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RunFacts:
    """How a network is computed.

    Attributes
    ----------
    device, device_reason
        ``"cpu"``, ``"cuda"`` or ``"mps"``, and a sentence why there.
    backend, backend_reason
        Its runtime, ``"torch"``, ``"openvino"`` or ``"onnxruntime"``, and a sentence why that.
    precision
        Its arithmetic, such as ``"float32"``, or ``"tf32"`` where a GPU rounds to that.
    compilation
        A sentence that says whether compiled code computes it; empty where none ever does.
    warnings
        Sentences on what is not as it was asked for, such as a fallback to the CPU.
    """

    device: str
    device_reason: str
    backend: str
    backend_reason: str
    precision: str
    warnings: tuple[str, ...] = ()
    compilation: str = ""
