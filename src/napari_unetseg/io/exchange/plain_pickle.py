"""Pickles of arrays and plain values, read without running anything that they ask for."""

import pickle
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np

_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
_LARGEST_SCALAR = 2**20
# What pickles name to say which type an array has; nothing may be called by it.
_ARRAY = object()


class PlainUnpickler(pickle.Unpickler):
    """Reads numbers, texts, lists, dictionaries and arrays; everything else is refused by name."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for one of the few names that arrays need.

        Raises
        ------
        pickle.UnpicklingError
            For any other name.
        """
        if module in _ARRAY_MODULES and name == "_reconstruct":
            return _empty_array
        if module in _ARRAY_MODULES and name == "scalar":
            return _scalar
        if (module, name) == ("numpy", "ndarray"):
            return _ARRAY
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no array needs")

    def persistent_load(self, pid: Any) -> Any:
        """Refuse what lies outside the file."""
        raise pickle.UnpicklingError("it asks for something outside the file")


def load_object_array(file: BinaryIO) -> Any:
    """Read the one value of an ``.npy`` file that holds an object, as `numpy.save` writes a dictionary.

    Raises
    ------
    ValueError, pickle.UnpicklingError, EOFError
        If it is no such file, or holds anything but arrays and plain values.
    """
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError("it is written in a form that is not known")
    reading = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = reading(file)
    if shape != () or dtype != np.dtype(object):
        raise ValueError("it is an array rather than a dictionary")
    array = PlainUnpickler(BytesIO(file.read())).load()
    if not isinstance(array, np.ndarray) or array.shape != ():
        raise ValueError("it is no single value")
    return array.item()


def _empty_array(kind: Any, shape: Any, typecode: Any) -> Any:
    """Make the empty array that a pickle then fills; one of any size could be asked for here."""
    if kind is not _ARRAY or tuple(shape) != (0,):
        raise pickle.UnpicklingError("it makes an array in an unusual way")
    return np.ndarray((0,), np.uint8)


def _scalar(dtype: Any, data: Any = None) -> Any:
    if not isinstance(dtype, np.dtype) or dtype.hasobject or not isinstance(data, bytes):
        raise pickle.UnpicklingError("it has a number of an unusual kind")
    if len(data) > _LARGEST_SCALAR:
        raise pickle.UnpicklingError("it has a number of an unusual size")
    return np.frombuffer(data, dtype, count=1)[0]
