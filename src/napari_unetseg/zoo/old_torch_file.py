"""Files that `torch.save` wrote before PyTorch 1.6, or on request later: pickles one after the other, then the data."""

import struct
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from napari_unetseg.zoo.pickle_check import Followed, cut_pickle, follow_pickle
from napari_unetseg.zoo.pickle_rules import PickleRefused

# A long number that says whose file it is, and the version of the format; each a pickle of its own.
START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
_COUNT = struct.Struct("<q")


def read_old_file(path: Path, max_pickles: int) -> tuple[Followed, Mapping[str, int]]:
    """Follow the pickles of such a file, and find where the data of each storage begin.

    Parameters
    ----------
    path
        A file that begins like a pickle.
    max_pickles
        Bytes that its pickles may have, together.

    Raises
    ------
    PickleRefused
        If it is no such file, is damaged, or asks for anything but data.
    """
    with path.open("rb") as file:
        stream = BytesIO(file.read(max_pickles))
        if stream.read(len(START)) != START:
            raise PickleRefused("it is a pickle, but not one that torch.save writes, or was not copied to its end")
        system = follow_pickle(cut_pickle(stream)).content
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise PickleRefused("it was written by a machine that orders bytes the other way")
        followed = follow_pickle(cut_pickle(stream))
        keys = follow_pickle(cut_pickle(stream)).content
        if not isinstance(keys, list) or len(keys) != len(followed.storages) or set(keys) != set(followed.storages):
            raise PickleRefused("its list of tensor storages is not that of its tensors")
        size = file.seek(0, 2)
        position = stream.tell()
        offsets: dict[str, int] = {}
        for key in keys:
            storage = followed.storages[key]
            file.seek(position)
            counted = file.read(_COUNT.size)
            offsets[key] = position + _COUNT.size
            position = offsets[key] + storage.nbytes
            if position > size:
                raise PickleRefused(
                    f"the tensor storage {key!r} declares {storage.nbytes} bytes, more than the file holds; it is "
                    "damaged or was not copied to its end"
                )
            if _COUNT.unpack(counted)[0] != storage.numel:
                raise PickleRefused(f"the tensor storage {key!r} is declared in two ways")
    if position != size:
        raise PickleRefused("something was added to its end")
    return followed, offsets
