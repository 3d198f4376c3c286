"""Functions that take ``**options`` show the parameters that a model defines: to Jupyter, typer and magicgui."""

import inspect
import re
import textwrap
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from napari_unetseg.postprocessing.parameters import DecodeParameters, describe_field

Function = TypeVar("Function", bound=Callable[..., Any])


def shows_fields(
    model: type[BaseModel],
    *,
    before: str,
    without: Collection[str] = (),
    annotate: Callable[[str, FieldInfo], Any] = lambda name, field: field.annotation,
    left_out: str = "",
) -> Callable[[Function], Function]:
    """Let a function show the fields of a model in place of its ``**options``; what it does stays the same.

    In its docstring the fields take the place of the entry of ``options``.

    Parameters
    ----------
    model
        Its fields become keyword arguments.
    before
        The parameter of the function that comes after them; keyword-only.
    without
        Fields not to show. Those are left out too that the function has by itself.
    annotate
        Makes an annotation of the name and the field.
    left_out
        What to say of decoder parameters that are left out.
    """

    def show(function: Function) -> Function:
        signature = inspect.signature(function)
        hidden = {*without, *signature.parameters}
        fields = {name: field for name, field in model.model_fields.items() if name not in hidden}
        shown: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            if parameter.name == before:
                shown += [
                    inspect.Parameter(
                        name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=annotate(name, field)
                    )
                    for name, field in fields.items()
                ]
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                function.__doc__ = _documented(function.__doc__, parameter.name, fields, left_out)
            else:
                shown.append(parameter)
        annotations = {parameter.name: parameter.annotation for parameter in shown}
        annotations["return"] = signature.return_annotation
        function.__annotations__ = {k: v for k, v in annotations.items() if v is not inspect.Parameter.empty}
        function.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
        return function

    return show


def _documented(text: str | None, name: str, fields: dict[str, FieldInfo], left_out: str) -> str | None:
    """Put the descriptions of fields where a numpydoc docstring has the entry of a parameter."""
    if text is None:  # python -OO
        return None
    entries = ""
    for field_name, field in fields.items():
        remark = f" {left_out}" if left_out and field_name in DecodeParameters.model_fields else ""
        words = textwrap.fill(describe_field(field) + remark, 100, initial_indent="    ", subsequent_indent="    ")
        entries += f"{field_name}\n{words}\n"
    return re.sub(rf"^{name}\n(    .*(\n|\Z))+", lambda _: entries, inspect.cleandoc(text), flags=re.MULTILINE)
