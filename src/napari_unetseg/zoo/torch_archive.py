"""What `torch.save` wrote, read so that a file from a stranger can do no harm.

A checkpoint is a zip archive of one pickle and the bytes of each tensor storage, all stored as they
are; before PyTorch 1.6 it was pickles and bytes alone (see `old_torch_file`). Its sizes are compared with
the file's, and its pickle is followed rather than run (see `pickle_check`). Only then tensors are made
of the bytes that they name, mapped from the file rather than copied.
"""

import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from napari_unetseg.language import Sentence
from napari_unetseg.zoo.old_torch_file import read_old_file
from napari_unetseg.zoo.pickle_check import Followed, follow_pickle
from napari_unetseg.zoo.pickle_rules import STORAGES, PickleRefused, StoredTensor

_MAX_INDEX = 16 * 2**20
_MAX_PICKLE = 64 * 2**20
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = 20
_ORDER = b"little"
# Of an entry's own header: what it begins with, and how long its name and the rest are.
_ENTRY = struct.Struct("<4s22x2H")


class CheckpointRefused(Exception):
    """The file is not what `torch.save` writes; the text says why."""


@dataclass(frozen=True)
class TorchFile:
    """A file that `torch.save` wrote.

    Attributes
    ----------
    path
        The file.
    content
        Its object: plain data, with `StoredTensor` in place of tensors and `Made` in place of everything else.
    offsets
        Where the data of each storage begin in the file, by its key.
    """

    path: Path
    content: Any
    offsets: Mapping[str, int]

    def tensor(self, stored: StoredTensor) -> torch.Tensor:
        """Make a tensor of `content`: a view of the file, on the CPU.

        Raises
        ------
        CheckpointRefused
            If torch has no such tensor.
        """
        storage = stored.storage
        start = self.offsets[storage.key]
        data = self._mapped[start : start + storage.nbytes]
        dtype = getattr(torch, STORAGES[storage.kind][0])
        if start % dtype.itemsize:
            data = data.clone()
        try:
            return torch.empty(0, dtype=dtype).set_(data, stored.offset, stored.size, stored.stride)
        except (RuntimeError, OverflowError, TypeError) as error:
            first_line = str(error).partition("\n")[0]
            raise CheckpointRefused(Sentence("torch cannot read it ({reason})", reason=first_line)) from error

    @cached_property
    def _mapped(self) -> torch.UntypedStorage:
        size = self.path.stat().st_size
        return torch.from_file(str(self.path), shared=False, size=size, dtype=torch.uint8).untyped_storage()


def read_archive(path: Path) -> TorchFile:
    """Read a file that `torch.save` wrote; no tensor is made yet.

    Raises
    ------
    CheckpointRefused
        If the file is not such an archive, is damaged, or would do anything but hold data.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        is_old = file.read(2) == b"\x80\x02"
    try:
        followed, offsets = read_old_file(path, _MAX_PICKLE) if is_old else _read_zip(path)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, UnicodeDecodeError, struct.error) as error:
        raise CheckpointRefused(
            Sentence("it is damaged or was not copied to its end ({reason})", reason=error)
        ) from error
    except PickleRefused as error:
        raise CheckpointRefused(str(error)) from error
    return TorchFile(path, followed.content, offsets)


def _read_zip(path: Path) -> tuple[Followed, dict[str, int]]:
    _check_start(path)
    with zipfile.ZipFile(path) as archive:
        pickled, entries = _checked_content(archive, path.stat().st_size)
        followed = follow_pickle(pickled)
    for key, storage in followed.storages.items():
        if key not in entries:
            raise PickleRefused(f"it holds no data for the tensor storage {key!r}")
        if storage.nbytes != entries[key].file_size:
            raise PickleRefused(
                f"the tensor storage {key!r} declares {storage.nbytes} bytes, but the file holds "
                f"{entries[key].file_size}"
            )
    with path.open("rb") as file:
        offsets = {}
        for key, storage in followed.storages.items():
            file.seek(entries[key].header_offset)
            word, name, extra = _ENTRY.unpack(file.read(_ENTRY.size))
            offsets[key] = file.tell() + name + extra
            if word != b"PK\x03\x04" or offsets[key] + storage.nbytes > file.seek(0, 2):
                raise PickleRefused(f"the data of the tensor storage {key!r} are not where the file says")
    return followed, offsets


def _check_start(path: Path) -> None:
    """Refuse what is not a zip archive of a sane number of entries, before anything is read into memory."""
    with path.open("rb") as file:
        start = file.read(4)
        size = file.seek(0, 2)
        file.seek(max(size - _END.size - _LOCATOR_64 - _END_64.size, 0))
        tail = file.read()
    if not size:
        raise CheckpointRefused(Sentence("it is empty"))
    if start != b"PK\x03\x04":
        raise CheckpointRefused(Sentence("it is not a file that torch.save writes"))
    if len(tail) < _END.size or not tail[-_END.size :].startswith(b"PK\x05\x06"):
        raise CheckpointRefused(Sentence("it was not copied to its end, or something was added to it"))
    index = _END.unpack(tail[-_END.size :])[5]
    if index == 0xFFFFFFFF and tail.startswith(b"PK\x06\x06"):
        index = _END_64.unpack(tail[: _END_64.size])[8]
    if index > min(size, _MAX_INDEX):
        raise CheckpointRefused(
            Sentence("its table of contents has {index} bytes, more than any checkpoint needs", index=index)
        )


def _checked_content(archive: zipfile.ZipFile, size: int) -> tuple[bytes, dict[str, zipfile.ZipInfo]]:
    """Return the pickle, and the entry of each tensor storage by its key."""
    entries = archive.infolist()
    names = {entry.filename for entry in entries}
    folder = entries[0].filename.partition("/")[0] if entries else ""
    if len(names) != len(entries):
        raise CheckpointRefused(Sentence("two of its entries have one name"))
    if f"{folder}/constants.pkl" in names:
        raise CheckpointRefused(
            Sentence(
                "it is a TorchScript archive, which holds a program. Save the network's state_dict with "
                "torch.save instead"
            )
        )
    declared = sum(entry.file_size for entry in entries)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise CheckpointRefused(
            Sentence(
                "its entries are compressed ({size} bytes declare {declared}), which torch.save does not do. "
                "Where you trust it, unpack it and zip it again without compression",
                size=size,
                declared=declared,
            )
        )
    if declared > size:
        raise CheckpointRefused(
            Sentence("its entries declare {declared} bytes, but the file has {size}", declared=declared, size=size)
        )
    if f"{folder}/data.pkl" not in names:
        raise CheckpointRefused(
            Sentence("it is a zip archive, but not one that torch.save writes (it has no data.pkl)")
        )
    pickled = archive.getinfo(f"{folder}/data.pkl")
    if pickled.file_size > _MAX_PICKLE:
        raise CheckpointRefused(
            Sentence("its pickle has {size} bytes, more than any checkpoint needs", size=pickled.file_size)
        )
    order = f"{folder}/byteorder"
    if order in names and (archive.getinfo(order).file_size != len(_ORDER) or archive.read(order) != _ORDER):
        raise CheckpointRefused(Sentence("it was written by a machine that orders bytes the other way"))
    data = f"{folder}/data/"
    stored = {entry.filename.removeprefix(data): entry for entry in entries if entry.filename.startswith(data)}
    return archive.read(pickled), stored
