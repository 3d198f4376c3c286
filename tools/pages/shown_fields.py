"""Functions whose `**options` are the fields of a model, as readers of the Python API see them.

`napari_unetseg.signatures.shows_fields` puts the fields into signature and docstring when the function is made, which a
reader of the source alone does not see.
"""

import inspect
from importlib import import_module
from typing import Annotated, Any, get_origin

import griffe


class ShownFields(griffe.Extension):
    """Take signature and docstring of such functions from the functions themselves."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Replace what the source says of a function by what it says of itself."""
        # By `shows_fields`, or by what a module calls it with arguments of its own.
        if not any("shows_" in str(decorator.value) for decorator in func.decorators):
            return
        found: Any = import_module(func.module.path)
        for name in func.path.removeprefix(f"{func.module.path}.").split("."):
            found = getattr(found, name)
        known = {each.name: each for each in func.parameters}
        shown = inspect.signature(found).parameters.values()
        func.parameters = griffe.Parameters(*(known.get(each.name) or _parameter(each) for each in shown))
        if func.docstring is not None:
            func.docstring.value = inspect.getdoc(found) or ""


def _parameter(shown: inspect.Parameter) -> griffe.Parameter:
    default = None if shown.default is inspect.Parameter.empty else repr(shown.default)
    kind_of_value = shown.annotation.__origin__ if get_origin(shown.annotation) is Annotated else shown.annotation
    annotation = inspect.formatannotation(kind_of_value)
    kind = griffe.ParameterKind[shown.kind.name.lower()]
    return griffe.Parameter(shown.name, annotation=annotation, kind=kind, default=default)
