"""Imports run one way, and the heavy libraries are loaded only where they are used (ARCHITECTURE.md)."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE = "napari_unetseg"
SOURCE = Path(__file__).parents[1] / "src" / PACKAGE

PLAIN = {"callbacks", "image", "errors", "language", "layer_style", "probability_maps", "cores"}
PLAIN |= {"bounded_text", "channel_selection", "channels", "lazy_array", "printable"}
BESIDE = PLAIN | {"postprocessing", "io"}
OPTIONS = {"segment_options", "signatures"}
MAY_IMPORT = {
    "callbacks": set[str](),
    "errors": {"printable"},
    "language": {"printable"},
    "printable": set[str](),
    "image": {"errors", "language", "lazy_array"},
    "lazy_array": {"errors", "language"},
    "channels": {"errors", "language"},
    "channel_selection": {"channels", "errors", "image", "language", "lazy_array"},
    "probability_maps": {"errors", "language"},
    "cores": set[str](),
    "bounded_text": set[str](),
    "layer_style": set[str](),
    "samples": PLAIN,
    "postprocessing": PLAIN,
    "segment_options": PLAIN | {"postprocessing", "zoo"},
    "signatures": PLAIN | {"postprocessing"},
    "io": PLAIN | {"postprocessing"},
    "config": PLAIN,
    "networks": PLAIN,
    "zoo": BESIDE | {"networks"},
    "inference": BESIDE | {"networks", "zoo"},
    "blockwise": BESIDE | OPTIONS | {"networks", "zoo", "inference"},
    "service": BESIDE | OPTIONS | {"config", "networks", "zoo", "inference", "blockwise"},
    "batch": BESIDE | OPTIONS | {"zoo", "service", "blockwise"},
    "cluster": BESIDE | OPTIONS | {"config", "zoo", "inference", "blockwise", "service", "batch"},
    "benchmark": BESIDE | {"config", "networks", "zoo", "inference", "service"},
    "training": BESIDE | {"networks", "samples", "zoo", "inference"},
    "api": BESIDE | OPTIONS | {"zoo", "inference", "service"},
    "client": BESIDE | OPTIONS | {"config", "zoo", "inference", "service", "api"},
    "server": BESIDE | OPTIONS | {"config", "samples", "zoo", "inference", "service", "benchmark", "api"},
    "plugin": BESIDE
    | OPTIONS
    | {"batch", "blockwise", "cluster", "config", "samples", "zoo", "inference", "service", "client", "training"},
    "__main__": {"cli"},
    "cli": BESIDE
    | OPTIONS
    | {"batch", "benchmark", "config", "samples", "zoo", "inference", "service", "training", "plugin"}
    | {"blockwise", "client", "cluster", "server"},
}
# What lies in a room, from the lowest floor up: a module or folder may import those of floors below its own, and those
# of one floor do not know one another. What is not named stands on top.
FLOORS = {
    "plugin": (
        {"layers", "parts"},
        {"workers"},
        {
            "add_model",
            "autosave",
            "blocks",
            "comparison",
            "fixing",
            "folder",
            "learning",
            "panel",
            "plate",
            "review",
            "servers",
            "table",
            "trials",
        },
        {"dock"},
    ),
    "inference": (
        {"backends"},
        {"tiling"},
    ),
}
SLOW_LIBRARIES = {"torch", "pandas", "scipy", "skimage", "dask", "imageio", "imagecodecs", "tifffile", "roifile"}
SLOW_LIBRARIES |= {"distributed", "fsspec", "pyarrow", "zarr"}
SLOW_LIBRARIES |= {"liffile", "mrcfile", "nd2", "oiffile", "pydicom", "pylibCZIrw", "onnx", "onnxruntime"}
WINDOW_LIBRARIES = {"napari", "qtpy", "superqt", "magicgui", "vispy", "PyQt6"}
TORCH_ROOMS = (
    "benchmark.measuring",
    "benchmark.benchmarked_model",
    "cli.benchmark_report",
    "networks",
    "inference",
    "training",
    "service.bioimageio_export",
    "service.package_check",
    "service.calibrating",
    "service.loaded_model",
    "zoo.bioimageio",
    *(f"zoo.{name}" for name in ("conversion", "checkpoints", "import_checkpoint", "network_loading")),
    *(f"zoo.{name}" for name in ("packaging", "recognition", "state_dicts", "torch_archive", "user_models")),
)
TORCH_FREE = (
    "inference.augmentation",
    "inference.backends.selection",
    "inference.rescale_decision",
    "inference.object_size",
    "inference.prediction",
    "inference.size_estimate",
    "inference.tiling",
    "training.progress_events",
    "training.job_folder",
    "training.training_process",
    "training.data_check",
    "networks.facts",
    "networks.working_memory",
)


def module_name(path: Path) -> str:
    """`zoo.card` for src/napari_unetseg/zoo/card.py, `zoo` for its __init__.py, and "" for the package's own."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}
WITH_TORCH = {"triton"}
"""Libraries that come with PyTorch on the machines that have a use for them."""

# Importing `__main__` runs the command.
NOT_IMPORTABLE = {"__main__"} | (set() if find_spec("triton") else {"inference.backends.gpu.instance_norm_kernel"})
IMPORTABLE = {name: f"{PACKAGE}.{name}".rstrip(".") for name in MODULES if name not in NOT_IMPORTABLE}


class WithoutTypeChecking(ast.NodeTransformer):
    """Drop what only a type checker reads."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        is_for_checkers = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return None if is_for_checkers else self.generic_visit(node)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Full dotted names of everything that is imported, anywhere in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the room they come from"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def imports(module: str) -> frozenset[str]:
    return frozenset(imported(parse(MODULES[module])))


@cache
def imports_of_a_run(module: str) -> frozenset[str]:
    """Without what only a type checker reads."""
    return frozenset(imported(WithoutTypeChecking().visit(parse(MODULES[module]))))


def is_within(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def imported_at_once(tree: ast.Module) -> set[str]:
    """Libraries that importing a module imports, and not only calling its functions."""
    body = WithoutTypeChecking().visit(tree)
    for node in ast.walk(body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = []
    return {name.split(".")[0] for name in imported(body)}


def declared_dependencies() -> set[str]:
    """Distributions that pyproject.toml names, the extras among them, by canonical name."""
    project = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return {canonicalize_name(Requirement(requirement).name) for group in groups for requirement in group}


def loaded_by(modules: list[str], watched: set[str]) -> str:
    """Import modules one after the other in a fresh interpreter; say which first brought in a watched library."""
    program = (
        "import importlib, sys\n"
        f"for module in {modules!r}:\n"
        "    importlib.import_module(module)\n"
        f"    found = sorted({watched!r} & set(sys.modules))\n"
        "    if found: sys.exit(f'{module} loads {found}')\n"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120).stderr.strip()


@pytest.mark.parametrize("module", [name for name in MODULES if name])
def test_a_room_imports_only_the_rooms_before_it(module: str) -> None:
    room = module.split(".")[0]
    own = [name.split(".")[1] for name in imports(module) if name.startswith(f"{PACKAGE}.")]
    # `from napari_unetseg import __version__` names the package itself, which every room may.
    others = {name for name in own if name not in (room, "__version__")}
    assert others <= MAY_IMPORT[room]


def floor(room: str, part: str) -> int:
    """On which floor of its room a module or folder stands."""
    return next((at for at, parts in enumerate(FLOORS[room]) if part in parts), len(FLOORS[room]))


@pytest.mark.parametrize("module", [name for name in MODULES if name.split(".")[0] in FLOORS and "." in name])
def test_within_a_room_nothing_imports_what_stands_above_it(module: str) -> None:
    room, part = module.split(".")[:2]
    own = [name.split(".")[1:] for name in imports(module) if name.startswith(f"{PACKAGE}.{room}.")]
    others = {other for _, other, *_ in own if other != part}
    here, top = floor(room, part), len(FLOORS[room])
    assert {other for other in others if floor(room, other) >= here and here < top} == set()


def test_every_floor_is_there() -> None:
    named = {f"{room}.{part}" for room, floors in FLOORS.items() for parts in floors for part in parts}
    assert named <= set(MODULES)


def test_no_modules_import_each_other_in_a_circle() -> None:
    arrows = {
        module: {
            other
            for name in imports_of_a_run(module)
            if (other := known(name.removeprefix(f"{PACKAGE}."))) not in (None, module)
        }
        for module in MODULES
    }
    # Take away what imports nothing that is left, again and again: only circles, and what leads to them, remain.
    while free := {module for module, others in arrows.items() if not others & arrows.keys()}:
        arrows = {module: others for module, others in arrows.items() if module not in free}
    assert arrows == {}


def known(name: str) -> str | None:
    """Return the module of ours in which an imported name lies; None for other libraries' names."""
    return name if name in MODULES else next((part for part in [name.rpartition(".")[0]] if part in MODULES), None)


@pytest.mark.parametrize("module", [name for name in MODULES if not is_within(name, ("plugin",))])
def test_only_the_plugin_knows_the_window(module: str) -> None:
    libraries = {name.split(".")[0] for name in imports(module)}
    assert not libraries & WINDOW_LIBRARIES


def test_every_imported_library_is_a_declared_dependency() -> None:
    libraries = {name.split(".")[0] for module in MODULES for name in imports_of_a_run(module)}
    providers = packages_distributions()
    foreign = libraries - sys.stdlib_module_names - {PACKAGE} - WITH_TORCH
    undeclared = {
        library
        for library in foreign
        # What the development environment leaves out, such as ray, is taken to come under its own name.
        if not {canonicalize_name(name) for name in providers.get(library, [library])} & declared_dependencies()
    }
    assert undeclared == set()


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by([PACKAGE], WINDOW_LIBRARIES | {"torch", "numpy", "skimage"}) == ""


def test_the_window_takes_no_module_of_qt_that_a_binding_lacks() -> None:
    """napari takes PyQt5 too, which has the widgets of OpenGL elsewhere than PyQt6."""
    window = [module for module in MODULES if is_within(module, ("plugin",))]
    named = {name.split(".")[1] for module in window for name in imports(module) if name.startswith("qtpy.")}
    assert "QtWidgets" in named
    assert named - {"QtCore", "QtGui", "QtWidgets", "compat"} == set()


def test_the_window_opens_without_slow_libraries() -> None:
    program = "import sys, napari_unetseg.plugin.widget; print(*(m for m in sys.modules if m.startswith(sys.argv[1])))"
    line = [sys.executable, "-c", program, f"{PACKAGE}."]
    loaded = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True).stdout.split()
    names = [module.removeprefix(f"{PACKAGE}.") for module in loaded]
    assert "plugin.widget" in names
    # napari itself may load some of them, so that what is in memory tells nothing.
    found = {name: imported_at_once(parse(MODULES[name])) & SLOW_LIBRARIES for name in names}
    assert {name: libraries for name, libraries in found.items() if libraries} == {}


def test_torch_is_loaded_only_where_it_is_used() -> None:
    torch_free = [
        module for name, module in IMPORTABLE.items() if is_within(name, TORCH_FREE) or not is_within(name, TORCH_ROOMS)
    ]
    assert loaded_by(torch_free, {"torch"}) == ""


def test_all_but_the_plugin_run_without_a_window_library() -> None:
    headless = [module for name, module in IMPORTABLE.items() if not is_within(name, ("plugin",))]
    assert loaded_by(headless, WINDOW_LIBRARIES) == ""


def test_the_check_itself_sees_a_forbidden_library() -> None:
    assert loaded_by(["json", "napari_unetseg.networks.unet"], {"torch"}).endswith("loads ['torch']")
