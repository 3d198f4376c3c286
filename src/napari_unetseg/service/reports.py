"""What the service says about itself and its model."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Failure:
    """The place of an image in a batch that could not be segmented, and why."""

    image: str
    error: Exception

    def __str__(self) -> str:
        return str(self.error)


@dataclass(frozen=True)
class ModelInfo:
    """What model is in use, whether or not it is loaded yet.

    Attributes
    ----------
    parameters_count
        Trainable numbers of the network; None until it is loaded.
    device
        Device the network is on; None until it is loaded.
    card
        The whole model card as plain values.
    """

    name: str
    display_name: str
    description: str
    architecture: str
    sha256: str
    path: str
    origin: str
    loaded: bool
    device: str | None
    device_reason: str | None
    precision: str | None
    parameters_count: int | None
    card: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Health:
    """Whether the service can work, and how it has been doing.

    Attributes
    ----------
    healthy
        True if the model is loaded and a dummy inference (where asked for) gave finite values.
    problems
        One sentence for each thing that is wrong; empty when healthy.
    dummy_inference_ms
        Duration of the dummy inference in milliseconds; None if none was run.
    process_memory_mb, device_memory_mb
        Memory in use by this process and, on a GPU, by its tensors, in MiB; None if unknown.
    runs, failures
        Segmentations finished and failed since the service was made.
    latency_p50_ms, latency_p95_ms
        Median and 95th percentile of the network's time over the last 100 runs; None before one.
    checked_at
        ISO 8601 time of this report.
    """

    healthy: bool
    model_loaded: bool
    model: str
    device: str | None
    device_reason: str | None
    dummy_inference_ms: float | None
    process_memory_mb: float | None
    device_memory_mb: float | None
    runs: int
    failures: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    checked_at: str
    problems: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)
