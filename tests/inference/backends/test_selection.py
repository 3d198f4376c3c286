from typing import get_args

import pytest

from napari_unetseg.errors import ParameterError
from napari_unetseg.inference.backends import BACKENDS, PRECISIONS
from napari_unetseg.inference.backends.selection import BackendRequest, likely_plans, plan_execution, requested_backend
from napari_unetseg.networks import ARCHITECTURES
from napari_unetseg.zoo.card import Architecture, BackendName


@pytest.fixture
def choose(make):
    """Choose on a machine that is told in words; return backend, precision and the reason."""

    def choose(wanted=None, machine="", device="cpu", stated=None):
        card = make.card().model_copy(update={"backend": stated})
        able = {name: (lambda name=name: name in machine) for name in ("bfloat16", "openvino")}
        able["on_gpu"] = lambda _device: next((word for word in machine.split() if word.endswith("float16")), "float32")
        plan = plan_execution(wanted or BackendRequest(), card, device, **able)
        return plan.backend, plan.precision, plan.reason

    return choose


@pytest.mark.parametrize(
    ("machine", "device", "plan"),
    [
        ("", "cpu", ("torch", "float32")),
        ("openvino", "cpu", ("openvino", "float32")),
        ("bfloat16", "cpu", ("torch", "bfloat16")),
        ("bfloat16 and openvino", "cpu", ("torch", "bfloat16")),
        ("bfloat16 and openvino", "cuda", ("torch", "bfloat16")),
        ("bfloat16", "cuda:1", ("torch", "bfloat16")),
        ("float16", "cuda", ("torch", "float16")),
        ("openvino", "cuda", ("torch", "float32")),
        ("bfloat16 and openvino", "mps", ("torch", "float32")),
    ],
)
def test_the_fastest_way_of_the_machine_is_chosen(choose, machine, device, plan):
    assert choose(None, machine, device)[:2] == plan


@pytest.mark.parametrize(
    ("wanted", "machine", "device", "plan"),
    [
        (BackendRequest("openvino"), "bfloat16", "cpu", ("openvino", "bfloat16")),
        (BackendRequest("openvino"), "", "cpu", ("openvino", "float32")),
        (BackendRequest("openvino"), "bfloat16", "cuda", ("openvino", "bfloat16")),  # it runs on the processor
        (BackendRequest("onnxruntime"), "bfloat16", "cpu", ("onnxruntime", "float32")),
        (BackendRequest("torch"), "openvino", "cpu", ("torch", "float32")),
        (BackendRequest(precision="float32"), "bfloat16", "cpu", ("torch", "float32")),
        (BackendRequest(precision="float32"), "openvino", "cpu", ("openvino", "float32")),
        (BackendRequest(precision="bfloat16"), "", "cpu", ("torch", "float32")),  # many times slower there
        (BackendRequest(precision="bfloat16"), "bfloat16", "cuda", ("torch", "bfloat16")),
        (BackendRequest(precision="bfloat16"), "float16", "cuda", ("torch", "float32")),
        (BackendRequest(precision="float16"), "float16", "cuda", ("torch", "float16")),
        (BackendRequest(precision="float16"), "bfloat16", "cuda", ("torch", "float16")),
        (BackendRequest(precision="float16"), "", "cuda", ("torch", "float32")),
        (BackendRequest(precision="float16"), "bfloat16", "cpu", ("torch", "float32")),
        (BackendRequest(precision="float32"), "bfloat16", "cuda", ("torch", "float32")),
        (BackendRequest(precision="bfloat16"), "bfloat16", "mps", ("torch", "float32")),
        (BackendRequest(precision="int8"), "bfloat16", "cpu", ("openvino", "int8")),
        (BackendRequest("openvino", "int8"), "", "cpu", ("openvino", "int8")),
    ],
)
def test_a_request_goes_before_the_machine(choose, wanted, machine, device, plan):
    assert choose(wanted, machine, device)[:2] == plan


@pytest.mark.parametrize("machine", ["", "openvino", "bfloat16", "bfloat16 and openvino"])
@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_int8_is_for_who_wishes_it(choose, machine, device):
    assert choose(None, machine, device)[1] != "int8"
    assert choose(BackendRequest("openvino"), machine, device)[1] != "int8"


def test_the_card_wishes_where_nobody_else_does(choose):
    assert choose(None, "bfloat16", "cpu", "onnxruntime")[:2] == ("onnxruntime", "float32")
    assert choose(BackendRequest("torch"), "", "cpu", "onnxruntime")[:2] == ("torch", "float32")
    # Which the runtime of the card cannot do.
    assert choose(BackendRequest(precision="bfloat16"), "bfloat16", "cpu", "onnxruntime")[:2] == ("torch", "bfloat16")


def test_a_model_whose_masks_would_differ_is_computed_in_float32(make):
    def chosen(wanted=None, **changes):
        card = make.card().model_copy(update=changes)
        plans = [
            plan_execution(wanted or BackendRequest(), card, device, bfloat16=lambda: True, on_gpu=lambda _: "bfloat16")
            for device in ("cpu", "cuda")
        ]
        assert plans[0] == plans[1]
        return plans[0].precision, plans[0].reason

    for name in ARCHITECTURES:
        precision = "float32" if name in ("cbam_resunet", "hrnet") else "bfloat16"
        assert chosen(architecture=Architecture(name=name))[0] == precision
    assert chosen(precision="float32") == ("float32", "float32: in bfloat16 this model's masks would differ a little.")
    assert chosen(BackendRequest(precision="bfloat16"), precision="float32")[0] == "bfloat16"


@pytest.mark.parametrize(
    ("wanted", "machine", "device", "stated", "reason"),
    [
        (None, "bfloat16", "cpu", None, "bfloat16: twice as fast here, nearly the same masks."),
        (None, "", "cpu", None, "float32: this processor has no instructions for bfloat16."),
        (None, "openvino", "cpu", None, "OpenVINO is the fastest on this processor. float32: this processor"),
        (None, "bfloat16", "cuda", None, "bfloat16: twice as fast here, nearly the same masks."),
        (None, "float16", "cuda", None, "float16: twice as fast here, nearly the same masks."),
        (None, "", "cuda", None, "float32: this GPU has no units for less."),
        (None, "", "mps", None, "float32: a GPU is fast with it."),
        (None, "", "cpu", "onnxruntime", "The model's card asks for onnxruntime. float32: onnxruntime computes in no"),
        (BackendRequest("torch", "float32"), "bfloat16", "cpu", None, "torch was asked for. float32 was asked for."),
        (BackendRequest(precision="bfloat16"), "", "cpu", None, "float32: bfloat16 was asked for, but is far slower"),
        (BackendRequest(precision="float16"), "", "mps", None, "float32: float16 was asked for, but is far slower"),
    ],
)
def test_the_reason_is_told(choose, wanted, machine, device, stated, reason):
    assert choose(wanted, machine, device, stated)[2].startswith(reason)


def test_the_machine_is_asked_only_where_it_matters(make):
    def never(_device=None):
        raise AssertionError("nobody needs to know")

    card = make.card()
    for wanted, device in [
        (BackendRequest(precision="float32"), "cuda"),
        (BackendRequest("onnxruntime"), "cpu"),
        (BackendRequest("openvino", "int8"), "cpu"),
    ]:
        plan_execution(wanted, card, device, bfloat16=never, openvino=never, on_gpu=never)
    plan_execution(BackendRequest(), card, "cpu", bfloat16=lambda: True, openvino=never, on_gpu=never)
    plan_execution(BackendRequest(), card, "cuda", bfloat16=never, openvino=never, on_gpu=lambda _device: "bfloat16")


def test_likely_ways_are_those_that_some_machine_gets(make):
    card = make.card()
    assert likely_plans(BackendRequest(), card, "cpu") == (
        ("torch", "bfloat16"),
        ("openvino", "float32"),
        ("torch", "float32"),
    )
    assert likely_plans(BackendRequest("torch", "float32"), card, "cpu") == (("torch", "float32"),)
    assert likely_plans(BackendRequest(), card, "cuda") == (
        ("torch", "bfloat16"),
        ("torch", "float16"),
        ("torch", "float32"),
    )


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((None, None), BackendRequest()),
        ((None, None, "onnxruntime", "float32"), BackendRequest("onnxruntime", "float32")),
        (("openvino", None, "auto", "int8"), BackendRequest("openvino", "int8")),
        (("auto", "auto", "onnxruntime", "float32"), BackendRequest()),
    ],
)
def test_arguments_go_before_settings(given, wanted):
    assert requested_backend(*given) == wanted


@pytest.mark.parametrize(
    ("backend", "precision", "words"),
    [
        ("abacus", "auto", "no backend 'abacus'. Choose one of auto, torch, openvino, onnxruntime"),
        ("auto", "float17", "no precision 'float17'. Choose one of auto, float32, bfloat16, float16, int8"),
        ("torch", "int8", "torch does not compute in int8. Choose one of openvino"),
        ("onnxruntime", "bfloat16", "onnxruntime does not compute in bfloat16. Choose one of torch, openvino"),
    ],
)
def test_what_is_not_there_is_named(backend, precision, words):
    with pytest.raises(ParameterError, match=words):
        BackendRequest(backend, precision)


def test_cards_and_settings_know_the_names_there_are():
    from napari_unetseg.config import Settings

    assert get_args(BackendName) == BACKENDS
    for name in ("auto", *BACKENDS):
        assert Settings(unet={"model": {"backend": name}}).unet.model.backend == name
    for name in ("auto", *PRECISIONS):
        assert Settings(unet={"model": {"precision": name}}).unet.model.precision == name
