"""Files of other programs are looked through before anything reads them."""

import io
import zipfile

import pytest
import torch

from napari_unetseg.errors import ModelError
from napari_unetseg.zoo.foreign_files import check_foreign_file

onnx = pytest.importorskip("onnx")


def graph(content: bytes, change) -> bytes:
    model = onnx.load_model_from_string(content)
    change(model)
    return model.SerializeToString()


def keep_elsewhere(model) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../others/numbers.bin")


def inside_a_branch(model) -> None:
    constant = onnx.helper.make_node(
        "Constant", [], ["held"], value=onnx.numpy_helper.from_array(torch.ones(4).numpy())
    )
    keep = constant.attribute[0].t
    keep.data_location = onnx.TensorProto.EXTERNAL
    keep.external_data.add(key="location", value="branch.bin")
    branch = onnx.helper.make_graph([constant], "branch", [], [])
    model.graph.node.append(onnx.helper.make_node("If", ["raw"], ["out"], then_branch=branch, else_branch=branch))


def own_operation(model) -> None:
    model.graph.node[1].domain = "org.example"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (keep_elsewhere, r"other files \(\.\./others/numbers\.bin\).*without external data"),
        (inside_a_branch, r"other files \(branch\.bin\)"),
        (own_operation, r"operations of another library \(org\.example\.Sigmoid\)"),
        (lambda model: model.ClearField("graph"), "holds no network"),
    ],
)
def test_a_graph_that_is_more_than_one_file_of_known_operations_is_refused(foreign_content, change, said):
    with pytest.raises(ModelError, match=f"^a.onnx: .*{said}"):
        check_foreign_file("onnx_graph", graph(foreign_content("onnx_graph"), change), "a.onnx")


def test_what_is_no_graph_is_refused(foreign_content):
    for content in (b"", b"no graph at all", foreign_content("onnx_graph")[:-20]):
        with pytest.raises(ModelError, match=r"^a\.onnx: this"):
            check_foreign_file("onnx_graph", content, "a.onnx")


def rewritten(content: bytes, change) -> bytes:
    """The archive with another source text."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for entry in old.infolist():
            text = old.read(entry)
            new.writestr(entry.filename, change(text) if entry.filename.endswith(".py") else text)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"  _0 = torch.save(x, name)\n", r"reads or writes files \(save\)"),
        (b"  _0 = ops.aten.from_file(name)\n", r"reads or writes files \(from_file\)"),
        (b"  _0 = ops.torchvision.nms(a, b, 0.5)\n", r"another library \(torchvision\.nms\)"),
    ],
)
def test_a_program_that_does_more_than_compute_is_refused_before_it_is_loaded(foreign_content, line, said):
    content = rewritten(foreign_content("torchscript"), lambda text: text + line)
    with pytest.raises(ModelError, match=f"^a.pt: .*{said}"):
        check_foreign_file("torchscript", content, "a.pt")


def test_a_program_of_known_operations_is_let_pass(foreign_content):
    content = foreign_content("torchscript")
    check_foreign_file("torchscript", content, "a.pt")
    check_foreign_file("torchscript", rewritten(content, lambda text: text + b"  _0 = ops.prim.data(x)\n"), "a.pt")
    check_foreign_file("onnx_graph", foreign_content("onnx_graph"), "a.onnx")


def test_what_is_no_program_is_refused(foreign_content):
    with pytest.raises(ModelError, match="cut short"):
        check_foreign_file("torchscript", foreign_content("torchscript")[:-40], "a.pt")
    buffer = io.BytesIO()
    torch.save({"weight": torch.ones(3)}, buffer)
    with pytest.raises(ModelError, match=r"no TorchScript program\. If it is a checkpoint"):
        check_foreign_file("torchscript", buffer.getvalue(), "a.pt")


def test_an_archive_that_would_become_far_larger_is_not_read(foreign_content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/constants.pkl", b"")
        archive.writestr("a/code/a.py", bytes(65 * 2**20))
    with pytest.raises(ModelError, match="far larger"):
        check_foreign_file("torchscript", buffer.getvalue(), "a.pt")
