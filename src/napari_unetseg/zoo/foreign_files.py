"""Files of networks that other programs wrote: looked through before a runtime reads them, so that they can do no harm.

An ONNX graph is numbers and the names of operations; it may also name other files, and operations of somebody's own
library. A TorchScript program is an archive of numbers and of source text in a small language of PyTorch's, in which a
program could read and write files. What is more than the computation of tensors is refused.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from napari_unetseg.errors import ModelError, UnetsegError, is_out_of_memory
from napari_unetseg.language import Sentence
from napari_unetseg.networks.onnx_session import MISSING_EXTRA

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

_ONNX_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
"""Whose operations ONNX Runtime has without another library."""

_SCRIPT_NAMESPACES = {"aten", "prim", "prims", "quantized"}
"""Whose operations PyTorch has without another library."""

_OPERATION = re.compile(r"\bops\.([A-Za-z_]\w*)\.([A-Za-z_]\w*)")
_ON_FILES = re.compile(r"\b(?:torch|ops\.(?:aten|prim))\.(save|load|from_file)\s*\(")

_MOST_SOURCE = 64 * 2**20
_MOST_ENTRIES = 100_000
_SPARE = 64 * 2**20


def check_foreign_file(architecture: str, content: bytes, name: str) -> None:
    """Refuse what is no ONNX graph or TorchScript program, or more than one.

    Parameters
    ----------
    architecture
        ``"onnx_graph"`` or ``"torchscript"``.
    content
        Of the file.
    name
        What the file is called in messages.

    Raises
    ------
    ModelError
        If it cannot be used; the message says what it holds.
    UnetsegError
        If the packages for ONNX are not installed.
    """
    if architecture == "onnx_graph":
        _check_onnx(content, name)
    else:
        _check_torchscript(content, name)


def _check_onnx(content: bytes, name: str) -> None:
    try:
        import onnx
    except ImportError as error:
        raise UnetsegError(MISSING_EXTRA) from error
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # of protobuf, which is ONNX's own matter
        if is_out_of_memory(error):
            raise
        raise ModelError(
            Sentence(
                "{file}: this is no ONNX file, or it is damaged ({reason}). Copy it again.", file=name, reason=error
            )
        ) from error
    if not model.graph.node:
        raise ModelError(Sentence("{file}: this ONNX file holds no network.", file=name))
    elsewhere = sorted(set(_files_beside(model)))
    if elsewhere:
        raise ModelError(
            Sentence(
                "{file}: some of this network's numbers lie in other files ({files}). A model must be one file: save "
                "it without external data.",
                file=name,
                files=", ".join(elsewhere[:3]),
            )
        )
    own = {function.domain for function in model.functions}
    _refuse_operations(name, (node for node in _nodes(model) if node.domain not in _ONNX_DOMAINS | own))


def _refuse_operations(name: str, nodes: "Iterable[NodeProto]") -> None:
    unknown = sorted({f"{node.domain}.{node.op_type}" for node in nodes})
    if unknown:
        raise ModelError(_unknown_operations(name, unknown))


def _unknown_operations(name: str, unknown: list[str]) -> Sentence:
    return Sentence(
        "{file}: this network needs operations of another library ({operations}), which cannot be used here. Ask its "
        "maker for one without them.",
        file=name,
        operations=", ".join(unknown[:5]),
    )


def _nodes(model: "ModelProto") -> "Iterator[NodeProto]":
    for graph in _graphs(model):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def _graphs(model: "ModelProto") -> "Iterator[GraphProto]":
    waiting = [model.graph]
    waiting += [graph for function in model.functions for node in function.node for graph in _inside(node)]
    while waiting:
        graph = waiting.pop()
        yield graph
        waiting += [inner for node in graph.node for inner in _inside(node)]


def _inside(node: "NodeProto") -> "Iterator[GraphProto]":
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _files_beside(model: "ModelProto") -> Iterator[str]:
    """Name the files in which tensors of a model lie that are not in its own."""
    for tensor in _tensors(model):
        if tensor.data_location == tensor.EXTERNAL or tensor.external_data:
            yield next((entry.value for entry in tensor.external_data if entry.key == "location"), tensor.name)


def _tensors(model: "ModelProto") -> Iterator[Any]:
    for graph in _graphs(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in _nodes(model):
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors


def _check_torchscript(content: bytes, name: str) -> None:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise ModelError(
            Sentence("{file}: this is no TorchScript program, or it is cut short. Copy it again.", file=name)
        ) from error
    inside = {entry.filename.partition("/")[2] for entry in entries}
    if "constants.pkl" not in inside or not any(path.startswith("code/") for path in inside):
        raise ModelError(
            Sentence(
                "{file}: this is no TorchScript program. If it is a checkpoint, use it by its path or convert it.",
                file=name,
            )
        )
    if len(entries) > _MOST_ENTRIES or sum(entry.file_size for entry in entries) > 2 * len(content) + _SPARE:
        raise ModelError(
            Sentence("{file}: this archive would become far larger than it is; it is not read.", file=name)
        )
    source = [entry for entry in entries if entry.filename.partition("/")[2].startswith("code/")]
    if sum(entry.file_size for entry in source) > _MOST_SOURCE:
        raise ModelError(
            Sentence("{file}: this archive would become far larger than it is; it is not read.", file=name)
        )
    for entry in source:
        try:
            text = archive.read(entry).decode("utf-8", errors="replace")
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
            raise ModelError(
                Sentence("{file}: this is no TorchScript program, or it is cut short. Copy it again.", file=name)
            ) from error
        _check_source(text, name)


def _check_source(text: str, name: str) -> None:
    on_files = sorted({found[1] for found in _ON_FILES.finditer(text)})
    if on_files:
        raise ModelError(
            Sentence(
                "{file}: this program reads or writes files ({operations}), which no model has to. It is not run.",
                file=name,
                operations=", ".join(on_files),
            )
        )
    unknown = sorted(
        {f"{found[1]}.{found[2]}" for found in _OPERATION.finditer(text) if found[1] not in _SCRIPT_NAMESPACES}
    )
    if unknown:
        raise ModelError(_unknown_operations(name, unknown))
