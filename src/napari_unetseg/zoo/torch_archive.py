"""What `torch.save` wrote, read so that a file from a stranger can do no harm.

A checkpoint is a zip archive of one pickle and the bytes of each tensor storage, all stored as they
are. Its sizes are compared with the file's, its pickle is followed (see `pickle_check`), and only then
torch reads it, with ``weights_only=True`` and the tensors mapped from the file rather than copied.
"""

import struct
import threading
import zipfile
from pathlib import Path
from typing import Any

import torch

from napari_unetseg.language import Sentence
from napari_unetseg.zoo.pickle_check import check_pickle
from napari_unetseg.zoo.pickle_rules import IGNORED, PickleRefused

_MAX_INDEX = 16 * 2**20
_MAX_PICKLE = 64 * 2**20
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = 20

# The list of allowed globals belongs to the process: one reader at a time changes it.
_reading = threading.Lock()


class CheckpointRefused(Exception):
    """The file is not what `torch.save` writes; the text says why."""


class _Ignored:
    """Stands for everything in a checkpoint that is neither a tensor nor plain data; keeps nothing."""

    def __init__(self, *_arguments: Any) -> None: ...

    def __new__(cls, *_arguments: Any) -> "_Ignored":
        return super().__new__(cls)

    def __setstate__(self, _state: Any) -> None: ...


def read_archive(path: Path) -> Any:
    """Return the object in a file that `torch.save` wrote; its tensors are views of the file.

    Raises
    ------
    CheckpointRefused
        If the file is not such an archive, is damaged, or would do anything but hold data.
    OSError
        If it cannot be read.
    """
    _check_start(path)
    try:
        with zipfile.ZipFile(path) as archive:
            check_pickle(*_checked_content(archive, path.stat().st_size))
    except (zipfile.BadZipFile, NotImplementedError, EOFError, UnicodeDecodeError) as error:
        raise CheckpointRefused(
            Sentence("it is damaged or was not copied to its end ({reason})", reason=error)
        ) from error
    except PickleRefused as error:
        raise CheckpointRefused(str(error)) from error
    allowed: list[Any] = [(_Ignored, name) for name in IGNORED]
    try:
        with _reading, torch.serialization.safe_globals(allowed):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError:
        raise
    # Of a damaged file, torch's reader may raise anything.
    except Exception as error:
        first_line = str(error).partition("\n")[0]
        raise CheckpointRefused(Sentence("torch cannot read it ({reason})", reason=first_line)) from error


def _check_start(path: Path) -> None:
    """Refuse what is not a zip archive of a sane number of entries, before anything is read into memory."""
    with path.open("rb") as file:
        start = file.read(4)
        size = file.seek(0, 2)
        file.seek(max(size - _END.size - _LOCATOR_64 - _END_64.size, 0))
        tail = file.read()
    if not size:
        raise CheckpointRefused(Sentence("it is empty"))
    if start[:2] == b"\x80\x02":
        raise CheckpointRefused(
            Sentence(
                "it has the format that torch.save wrote before PyTorch 1.6. Where you trust it, load it "
                "with torch and save it again"
            )
        )
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


def _checked_content(archive: zipfile.ZipFile, size: int) -> tuple[bytes, dict[str, int]]:
    """Return the pickle, and the bytes of each tensor storage by its key."""
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
    data = f"{folder}/data/"
    sizes = {entry.filename.removeprefix(data): entry.file_size for entry in entries if entry.filename.startswith(data)}
    return archive.read(pickled), sizes
