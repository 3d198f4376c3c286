"""What the processor can compute fast. Imports torch only when it is asked."""

from functools import cache


@cache
def computes_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 by instructions of its own (AVX512_BF16 or AMX).

    Without them each number is widened and rounded by others, several times slower than float32.
    """
    import torch

    # PyTorch has no public name for this yet, and builds for other processors lack some of these.
    asked = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(supported() for supported in asked if supported is not None)
