"""The text that says which channels are wanted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_unetseg.channels import ChannelChoice, ChannelPart

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(st.lists(names, min_size=1, max_size=3), st.sampled_from(["max", "sum", None]), st.booleans())
def test_any_name_is_read_as_it_is_written(listed: list[str], combination: str | None, has_roles: bool) -> None:
    if combination is None:
        parts = [ChannelPart((name,), None, f"role {at}" if has_roles else "") for at, name in enumerate(listed)]
    else:
        parts = [ChannelPart(tuple(listed), combination, "nucleus" if has_roles else "")]  # type: ignore[arg-type]
    choice = ChannelChoice(tuple(parts))
    assert ChannelChoice.parse(str(choice)) == choice


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (" DAPI , GFP ", "DAPI,GFP"),
        ("MAX( a , b )", "max(a,b)"),
        ("DAPI (405)", "DAPI (405)"),
        ('"a, b"', '"a, b"'),
        ("nucleus = sum(0,1), cell=2", "nucleus=sum(0,1),cell=2"),
    ],
)
def test_blanks_do_not_count_and_brackets_of_names_stay(text: str, written: str) -> None:
    assert str(ChannelChoice.parse(text)) == written


@pytest.mark.parametrize("text", ["", "a,,b", "max(a", 'a"', "max()", "n=a,b", "n=a,N=b", "=a"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"role|name|bracket"):
        ChannelChoice.parse(text)
