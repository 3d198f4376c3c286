"""Which runtime computes a network, and in which arithmetic. Imports no torch."""

from collections.abc import Callable
from dataclasses import dataclass

from napari_unetseg.errors import ParameterError
from napari_unetseg.inference.backends import AUTO, BACKENDS, PRECISIONS
from napari_unetseg.inference.backends.openvino.probe import openvino_works
from napari_unetseg.inference.backends.processor import computes_bfloat16, fast_gpu_precisions
from napari_unetseg.language import Sentence, joined
from napari_unetseg.networks.foreign_arguments import is_foreign
from napari_unetseg.zoo.card import ModelCard

EXACT_NETWORKS = ("cbam_resunet", "hrnet")
"""Architectures whose masks in bfloat16 agree less with those in float32 than to a Dice of 0.999.

Briefly trained on drawn cells, CBAM-ResUNet came to 0.998 with single images at 0.97, HRNet to 0.998, U-Net and
Attention U-Net to 0.999. Their many layers that normalise or weigh by statistics of the image magnify rounding.
"""

_FOREIGN_BACKENDS = {"onnx_graph": "onnxruntime", "torchscript": "torch"}
"""What computes the networks of other programs."""

_PRECISIONS_OF = {
    "torch": ("float32", "bfloat16", "float16"),
    "openvino": ("float32", "bfloat16", "int8"),
    "onnxruntime": ("float32",),
}


@dataclass(frozen=True)
class BackendRequest:
    """What somebody wants: one of `BACKENDS` and one of `PRECISIONS`, or ``"auto"`` for either.

    Raises
    ------
    ParameterError
        If there is no such backend or precision, or the backend does not compute in it.
    """

    backend: str = AUTO
    precision: str = AUTO

    def __post_init__(self) -> None:
        if self.backend not in (AUTO, *BACKENDS):
            raise ParameterError(
                Sentence(
                    "There is no backend {backend!r}. Choose one of {backends}.",
                    backend=self.backend,
                    backends=", ".join((AUTO, *BACKENDS)),
                )
            )
        if self.precision not in (AUTO, *PRECISIONS):
            raise ParameterError(
                Sentence(
                    "There is no precision {precision!r}. Choose one of {precisions}.",
                    precision=self.precision,
                    precisions=", ".join((AUTO, *PRECISIONS)),
                )
            )
        if self.backend != AUTO and self.precision not in (AUTO, *_PRECISIONS_OF[self.backend]):
            able = ", ".join(name for name in BACKENDS if self.precision in _PRECISIONS_OF[name])
            raise ParameterError(
                Sentence(
                    "The backend {backend} does not compute in {precision}. Choose one of {backends}.",
                    backend=self.backend,
                    precision=self.precision,
                    backends=able,
                )
            )


@dataclass(frozen=True)
class ExecutionPlan:
    """How a network is computed.

    Attributes
    ----------
    backend
        One of `BACKENDS`.
    precision
        One of `PRECISIONS`. On a GPU ``"float32"`` lets convolutions round to TF32, as PyTorch does.
    reason
        A sentence that says why.
    warning
        A sentence for the user where it is not what was asked for and results should say so; else empty.
    """

    backend: str
    precision: str
    reason: str
    warning: str = ""


def requested_backend(
    backend: str | None, precision: str | None, backend_setting: str = AUTO, precision_setting: str = AUTO
) -> BackendRequest:
    """Return what a caller asked for and, where that is None, what the settings say.

    Raises
    ------
    ParameterError
        As `BackendRequest` does.
    """
    return BackendRequest(
        backend_setting if backend is None else backend, precision_setting if precision is None else precision
    )


def plan_execution(
    request: BackendRequest,
    card: ModelCard,
    device: str,
    *,
    bfloat16: Callable[[], bool] = computes_bfloat16,
    openvino: Callable[[], bool] = openvino_works,
    on_gpu: Callable[[str], tuple[str, ...]] = fast_gpu_precisions,
) -> ExecutionPlan:
    """Choose the fastest plan that gives the same masks, as far as the request leaves the choice.

    Where no runtime is asked for, it is the one that the model's card names. Else, on a processor that computes
    bfloat16, PyTorch does as well as any and has nothing to compile; on others OpenVINO is faster, if it is there
    and works; on a GPU it is PyTorch. The precision is bfloat16 on a processor that computes it, float16 on a GPU that
    does, whose three more bits keep masks to a Dice of 0.9995 on all bundled models, else float32, which it is also for
    `EXACT_NETWORKS` and models whose card asks for it; int8 is computed only where it is asked for.

    A network that another program wrote runs in one way, whatever is asked for; a warning then says so.

    Parameters
    ----------
    request
        What was asked for.
    card
        Card of the model; its author knows which runtime suits it.
    device
        The device as PyTorch names it: ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
    bfloat16, openvino
        Whether the processor computes bfloat16, and whether OpenVINO works; called only where it matters.
    on_gpu
        Says in which short arithmetics a GPU is fast, the best first; called only where it matters.
    """
    if is_foreign(card.architecture.name):
        return _foreign_plan(request, card.architecture.name)
    backend, why = _backend(request, card, device, bfloat16, openvino)
    # OpenVINO runs on the processor, whatever the device.
    where = "cpu" if backend == "openvino" else device
    precision, because = _precision(BackendRequest(backend, request.precision), card, where, bfloat16, on_gpu)
    return ExecutionPlan(backend, precision, joined([*why, because]))


def _foreign_plan(request: BackendRequest, architecture: str) -> ExecutionPlan:
    """Return the one way in which a network runs that another program wrote."""
    backend = _FOREIGN_BACKENDS[architecture]
    if architecture == "onnx_graph":
        reason = Sentence("This model's network is an ONNX graph, which ONNX Runtime alone computes, in float32.")
    else:
        reason = Sentence("This model's network is a TorchScript program, which PyTorch alone computes, as it is.")
    refused = [
        wanted
        for wanted, used in ((request.backend, backend), (request.precision, "float32"))
        if wanted not in (AUTO, used)
    ]
    warning = Sentence("{wanted} was asked for. {reason}", wanted=" ".join(refused), reason=reason) if refused else ""
    return ExecutionPlan(backend, "float32", reason, warning)


def likely_plans(request: BackendRequest, card: ModelCard, device: str) -> tuple[tuple[str, str], ...]:
    """Return each runtime and precision that `plan_execution` could choose on any processor, the fastest first."""
    plans = (
        plan_execution(
            request,
            card,
            device,
            bfloat16=lambda: fast,  # noqa: B023 (called at once)
            openvino=lambda: works,  # noqa: B023
            on_gpu=lambda _name: on_gpu,  # noqa: B023
        )
        for fast, works, on_gpu in (
            (True, False, ("float16", "bfloat16")),
            (False, True, ("float16",)),
            (False, False, ()),
        )
    )
    return tuple(dict.fromkeys((plan.backend, plan.precision) for plan in plans))


def _backend(
    request: BackendRequest, card: ModelCard, device: str, bfloat16: Callable[[], bool], openvino: Callable[[], bool]
) -> tuple[str, tuple[str, ...]]:
    if request.backend != AUTO:
        return request.backend, (Sentence("{backend} was asked for.", backend=request.backend),)
    if request.precision == "int8":
        return "openvino", ()
    if card.backend is not None and request.precision in (AUTO, *_PRECISIONS_OF[card.backend]):
        return card.backend, (Sentence("The model's card asks for {backend}.", backend=card.backend),)
    if device == "cpu" and not bfloat16() and openvino():
        return "openvino", (Sentence("OpenVINO is the fastest on this processor."),)
    return "torch", ()


def _precision(
    request: BackendRequest,
    card: ModelCard,
    device: str,
    bfloat16: Callable[[], bool],
    on_gpu: Callable[[str], tuple[str, ...]],
) -> tuple[str, Sentence]:
    wanted, kind = request.precision, device.partition(":")[0]
    if wanted in ("bfloat16", "float16") and not _is_fast(wanted, device, bfloat16, on_gpu):
        return "float32", Sentence(
            "float32: {precision} was asked for, but is far slower on this machine.", precision=wanted
        )
    if wanted != AUTO:
        return wanted, Sentence("{precision} was asked for.", precision=wanted)
    if "bfloat16" not in _PRECISIONS_OF[request.backend]:
        return "float32", Sentence("float32: {backend} computes in nothing else.", backend=request.backend)
    if kind == "mps":
        return "float32", Sentence("float32: a GPU is fast with it.")
    if card.precision is not None or card.architecture.name in EXACT_NETWORKS:
        return "float32", Sentence("float32: in fewer bits this model's masks would differ a little.")
    if kind == "cuda":
        if not (fast := on_gpu(device)):
            return "float32", Sentence("float32: this GPU has no units for less.")
        return fast[0], Sentence("{precision}: twice as fast here, nearly the same masks.", precision=fast[0])
    if not bfloat16():
        return "float32", Sentence("float32: this processor has no instructions for bfloat16.")
    return "bfloat16", Sentence("bfloat16: twice as fast here, nearly the same masks.")


def _is_fast(
    precision: str, device: str, bfloat16: Callable[[], bool], on_gpu: Callable[[str], tuple[str, ...]]
) -> bool:
    """Whether a device is fast in one of the two short floating types."""
    kind = device.partition(":")[0]
    if kind == "cuda":
        return precision in on_gpu(device)
    return kind == "cpu" and precision == "bfloat16" and bfloat16()
