"""What the devices of this machine are called."""

import platform

from napari_unetseg.inference.backends.processor import cpu_name


def device_name(kind: str) -> str:
    """Return the name of a device, for people and as a key for what was measured on it.

    Parameters
    ----------
    kind
        ``"cpu"``, ``"cuda"`` or ``"mps"``; torch is loaded for ``"cuda"`` alone.
    """
    if kind == "cuda":
        import torch

        return torch.cuda.get_device_name()
    # On a Mac the graphics card is a part of the processor.
    return cpu_name() if kind == "cpu" else f"{platform.system()} {kind.upper()} device of {cpu_name()}"
