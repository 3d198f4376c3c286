"""What the service says about itself and its models; named and nested as the published HTTP answers are."""

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
class ModelIdentity:
    """Which model, in which of its published sizes, on which device (None until it is loaded)."""

    model_name: str
    model_variant: str
    device: str | None


@dataclass(frozen=True)
class ModelInfo:
    """What a model is, whether or not it is loaded yet.

    Attributes
    ----------
    model_name
        Name by which it is asked for.
    model_variant
        ``"lightweight"``, ``"standard"`` or ``"deep"`` where a network is published in these sizes;
        ``"standard"`` for all others.
    checkpoint_path
        The file that holds the weights.
    model_parameters, live_parameters
        Trainable numbers of the network as it is published, and those that an output depends on;
        None until it is loaded.
    input_shape, output_shape
        (N, C, H, W) and (N, heads, H, W); a side is None where any is accepted.
    device, device_reason, precision, backend, backend_reason
        Where, why there, in what arithmetic and by which runtime the network runs, and why so; None until it is
        loaded.
    compilation
        Whether compiled code computes the network; None where none ever does, and until it is loaded.
    architecture_details
        ``model_type``, ``base_channels``, ``depth`` (number of 2x2 poolings), ``use_attention``, and the
        arguments that the network is built with.
    preprocessing_config
        ``image_size`` (None: images keep theirs), ``normalize``, ``mean`` and ``std`` (None unless the
        normalisation has them), ``kind`` of the normalisation and its other numbers.
    supported_formats
        Kinds of image files that can be read.
    weights_sha256
        SHA-256 of the weights; empty for a checkpoint that was not read yet.
    origin
        ``"bundled"``, ``"user"`` or ``"path"``.
    card
        The whole model card as plain values.
    """

    model_name: str
    model_variant: str
    checkpoint_path: str
    model_parameters: int | None
    live_parameters: int | None
    input_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]
    device: str | None
    architecture_details: dict[str, Any]
    preprocessing_config: dict[str, Any]
    supported_formats: tuple[str, ...]
    weights_sha256: str
    display_name: str
    description: str
    origin: str
    loaded: bool
    device_reason: str | None
    precision: str | None
    backend: str | None
    backend_reason: str | None
    compilation: str | None
    card: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class MemoryUsage:
    """Memory of the pools, the process, the machine and the device; in MiB, None where it is unknown.

    Utilisation is the part of a pool's memory that is lent out right now, 0..1; hits are buffers that
    were used again, misses those that had to be made.
    """

    input_pool_utilization: float = 0.0
    output_pool_utilization: float = 0.0
    input_pool_hits: int = 0
    input_pool_misses: int = 0
    output_pool_hits: int = 0
    output_pool_misses: int = 0
    pool_mb: float = 0.0
    process_mb: float | None = None
    host_total_mb: float | None = None
    host_available_mb: float | None = None
    device_mb: float | None = None
    device_total_mb: float | None = None


@dataclass(frozen=True)
class Performance:
    """How the runs since the service was made went.

    Attributes
    ----------
    runs, failures
        Images segmented, and images that could not be. Cancelled runs count as neither.
    error_rate
        Failures in all of these, 0..1.
    latency_p50_ms, latency_p95_ms
        Median and 95th percentile of the network's time over the last 100 runs; None before one.
    recent_ms
        Those times, oldest first.
    cpu_percent
        Use of the processors by this process since the report before, 100 being one of them; None for the first.
    gpu_percent
        Use of the GPU by everyone; None where it is unknown.
    """

    runs: int = 0
    failures: int = 0
    error_rate: float = 0.0
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    recent_ms: tuple[float, ...] = ()
    cpu_percent: float | None = None
    gpu_percent: float | None = None


@dataclass(frozen=True)
class LastError:
    """The last run that failed: why, when (ISO 8601), and the id under which the log has it."""

    message: str
    time: str
    request_id: str


@dataclass(frozen=True)
class KnownAnswer:
    """Whether the model still gives its stored answer, and how far its probabilities are off at most."""

    passed: bool
    max_difference: float


@dataclass(frozen=True)
class Health:
    """Whether the service can work, and how it has been doing.

    Attributes
    ----------
    service_healthy
        True if the model is loaded and no check (where asked for) found a fault.
    memory_pools_ready
        Whether buffers can be lent out, which is when the model is loaded. It is kept for programs that read the
        answer of the published service.
    gpu_available
        Whether there is a GPU that PyTorch can use; None while PyTorch is not loaded.
    last_health_check
        ISO 8601 time of the last check that ran the network; None before one.
    model_info
        The model that was asked about.
    capabilities
        What can be asked of this service, in the words of the published one.
    last_error
        None if no run failed.
    problems
        One sentence for each thing that is wrong; empty when healthy.
    warnings
        Sentences about what works, but not well.
    memory_steps
        What was done each time memory ran out, oldest first.
    compilation
        Whether compiled code computes the network; None where none ever does.
    dummy_inference_ms
        Duration of the check's inference in milliseconds; None if none was run.
    known_answer
        None if the model has none or it was not compared.
    """

    service_healthy: bool
    model_loaded: bool
    memory_pools_ready: bool
    gpu_available: bool | None
    last_health_check: str | None
    model_info: ModelIdentity
    memory_usage: MemoryUsage = field(default_factory=MemoryUsage)
    capabilities: tuple[str, ...] = ()
    performance: Performance = field(default_factory=Performance)
    last_error: LastError | None = None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    memory_steps: tuple[str, ...] = ()
    device_reason: str | None = None
    precision: str | None = None
    backend: str | None = None
    backend_reason: str | None = None
    compilation: str | None = None
    dummy_inference_ms: float | None = None
    known_answer: KnownAnswer | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Initialization:
    """How loading a model went.

    Attributes
    ----------
    success
        True; what goes wrong is raised.
    message
        A sentence for the user.
    initialization_time_ms
        How long it took, in milliseconds, warm-up and validation included.
    service_ready
        Whether the service was found healthy, where that was to be validated.
    info
        The model that is loaded now.
    """

    success: bool
    message: str
    initialization_time_ms: float
    service_ready: bool
    info: ModelInfo

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)
