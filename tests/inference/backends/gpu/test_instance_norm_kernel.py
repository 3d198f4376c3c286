"""Triton's kernels against PyTorch's InstanceNorm in float64, on the processor by Triton's interpreter."""

import os
import subprocess
import sys

import pytest
import torch

pytest.importorskip("triton")

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# Rounding of the result, in units of values around 1. The interpreter cuts off what bfloat16 does not hold.
ROUNDING = {torch.float32: 2e-5, torch.bfloat16: 2**-7, torch.float16: 2**-11}
SHAPES = [
    (2, 40, 37, 23),
    (1, 64, 40, 40),
    (3, 5, 7, 9),
    (1, 130, 33, 64),
    (1, 1, 50, 61),
    (2, 2, 70, 50),
    (1, 3, 1, 2),
]

interpreted = pytest.mark.skipif(not INTERPRETED, reason="Triton decides as it is imported whether it interprets")


@pytest.mark.skipif(INTERPRETED, reason="this is the inner run")
def test_all_of_this_file_in_an_interpreter_of_its_own():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


def maps(shape, dtype, *, offset=30.0):
    """Maps whose channels have other means and deviations; the means are up to 30 deviations."""
    generator = torch.Generator().manual_seed(0)
    spread = 1 + torch.rand(1, shape[1], 1, 1, generator=generator)
    mean = offset * torch.rand(1, shape[1], 1, 1, generator=generator)
    x = torch.randn(shape, generator=generator) * spread + mean
    return x.to(dtype).to(memory_format=torch.channels_last)


def normalised(x, weight=None, bias=None, *, relu=False, out=None):
    from napari_unetseg.inference.backends.gpu.instance_norm_kernel import normalise_maps

    out = torch.empty_like(x) if out is None else out
    normalise_maps(x, weight, bias, 1e-5, relu=relu, out=out)
    return out


def expected(x, weight=None, bias=None, *, relu=False):
    weight, bias = (None if values is None else values.double() for values in (weight, bias))
    y = torch.nn.functional.instance_norm(x.double(), weight=weight, bias=bias)
    return y.relu() if relu else y


@interpreted
@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("affine", [True, False])
def test_it_is_instance_norm(shape, dtype, affine):
    x = maps(shape, dtype)
    values = (torch.linspace(-1, 2, shape[1]).to(dtype), torch.linspace(1, -1, shape[1]).to(dtype)) if affine else ()
    found, wanted = normalised(x, *values, relu=affine), expected(x, *values, relu=affine)
    assert found.dtype == dtype
    assert ((found.double() - wanted).abs() / (1 + wanted.abs())).max() <= ROUNDING[dtype]


@interpreted
def test_the_result_may_take_the_place_of_the_map():
    x = maps((2, 24, 37, 61), torch.bfloat16)
    wanted = normalised(x, relu=True)
    normalised(x, relu=True, out=x)
    assert torch.equal(x, wanted)


@interpreted
def test_an_image_is_the_same_alone_and_in_a_batch():
    x = maps((3, 24, 40, 61), torch.float32)
    together = normalised(x)
    for image, found in zip(x.split(1), together.split(1), strict=True):
        assert torch.equal(normalised(image), found)


@interpreted
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("relu", [True, False])
def test_what_is_no_number_stays_so(relu):
    x = maps((1, 4, 20, 20), torch.float16)
    x[0, 1, 3, 3] = torch.inf
    found = normalised(x, relu=relu)
    assert found[0, 1].isnan().any()
    assert found[0, [0, 2, 3]].isfinite().all()


@interpreted
def test_a_constant_channel_becomes_the_bias():
    x = torch.full((1, 4, 40, 40), 7.0).to(memory_format=torch.channels_last)
    bias = torch.tensor([0.0, 1.0, -2.0, 3.0])
    assert torch.equal(normalised(x, None, bias), bias[None, :, None, None].expand_as(x))
