from pathlib import Path

import pytest

from napari_unetseg.training.dataset import DatasetError, Pair
from napari_unetseg.training.folds import deal, read_groups


def pairs(*stems: str) -> list[Pair]:
    return [Pair(stem, Path(f"{stem}.png"), Path(f"{stem}.png"), "image") for stem in stems]


def test_no_group_is_divided_and_every_kind_is_spread() -> None:
    sizes = {"a": 4, "b": 3, "c": 2, "d": 2, "e": 1}
    groups = {f"{kind}{name}{n}": f"{kind}{name}" for kind in ("x", "y") for name in sizes for n in range(sizes[name])}
    kinds = {stem: stem[0] for stem in groups}
    folds = deal(groups, kinds, 3)
    assert sorted(stem for fold in folds for stem in fold) == sorted(groups)
    for fold in folds:
        inside = {groups[stem] for stem in fold}
        assert {stem for stem in groups if groups[stem] in inside} == set(fold)
        assert [sum(kinds[stem] == kind for stem in fold) for kind in ("x", "y")] == [4, 4]
    assert deal(dict(reversed(groups.items())), kinds, 3) == folds


def test_a_group_of_two_kinds_stays_together() -> None:
    groups = {"a": "one", "b": "one", "c": "two", "d": "three"}
    folds = deal(groups, {"a": "x", "b": "y", "c": "x", "d": "y"}, 2)
    assert folds == [("a", "b"), ("c", "d")]


def test_there_are_as_many_folds_as_groups_where_these_are_few() -> None:
    groups = {"a": "one", "b": "two", "c": "two"}
    assert deal(groups, dict.fromkeys(groups, "image"), 5) == [("b", "c"), ("a",)]
    with pytest.raises(DatasetError, match=r"All 3 images are in one group .* --groups"):
        deal(dict.fromkeys(groups, "one"), dict.fromkeys(groups, "image"), 5)


def test_groups_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "groups.csv"
    file.write_text("\ufeffstem,day,group\na,1, one\nb,2,two\n\n,,\n", encoding="utf-8")
    assert read_groups(file, pairs("a", "b")) == {"a": "one", "b": "two"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name,group\na,one\n", "columns 'stem' and 'group' are missing"),
        ("stem,group\na,one\nb,two\nz,two\n", r"1 stems are not among the images \(z\)"),
        ("stem,group\na,one\nb,two\na,\n", "line 4: 'a' has no group"),
        ("stem,group\na,one\nz\nb,two\n", "line 3: 'z' has no group"),
        ("stem,group\na,one\n,two\n", "line 3: group 'two' has no stem"),
        ("stem,group\na,one\n", r"1 stems have no group \(b\)"),
        ("stem,group\na,one\nb,two\na,two\n", "line 4: 'a' has a group already"),
    ],
)
def test_a_file_of_groups_that_does_not_fit_is_named(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "groups.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=fault) as raised:
        read_groups(file, pairs("a", "b"))
    assert str(file) in str(raised.value)


def test_a_file_of_groups_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "groups.csv"
    file.write_bytes(b"\xff\xfe\x00stem")
    for path in (file, tmp_path / "missing.csv"):
        with pytest.raises(DatasetError, match="cannot be read"):
            read_groups(path, pairs("a"))
