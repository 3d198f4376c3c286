"""How a result came about is written down without keeping the next image waiting."""

from collections.abc import Callable
from pathlib import Path

import pytest
from numpy.typing import NDArray

from napari_unetseg import SegmentationService
from napari_unetseg.config import Settings
from napari_unetseg.service import provenance
from napari_unetseg.service.provenance import card_fingerprint
from napari_unetseg.zoo.card import MeanStd, MinMax, ModelCard, Percentile, ZScore
from napari_unetseg.zoo.registry import find_model


def test_versions_are_looked_up_once(
    bright_model: Path, settings: Callable[..., Settings], squares: NDArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = SegmentationService(bright_model, settings=settings())
    first = service.segment(squares).provenance
    looked_up: list[str] = []
    monkeypatch.setattr(provenance, "version", lambda name: looked_up.append(name) or "0")
    second = service.segment(squares).provenance
    assert looked_up == []
    assert second.versions == first.versions
    # What a caller does to one record does not change the next.
    second.versions["numpy"] = "changed"
    assert service.segment(squares).provenance.versions == first.versions


# As they were before cards knew more ways to normalise: results of then stay current.
FINGERPRINTS = {
    "nuclei": "5a4311ba81d5762731fec4341d6787f23f413ce363f17516cd0456c5882da147",
    "cells": "3f0fd7d0e72f138095cdf161f00c3460329438a713fcf3be158a40d0f2e309d2",
    "nails": "ffbaa524e166049bdefaf83d5568f36999995a8fda9f2be5cb77c64c9470bff7",
    "spheroids": "5201abfc767b3cc38a743c9fc42245a07f77cc4fe1245aa5b61eb64f588b35c2",
}


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_results_of_older_versions_are_those_of_the_same_card(name: str) -> None:
    assert card_fingerprint(find_model(name).card) == FINGERPRINTS[name]


@pytest.mark.parametrize("kind", [Percentile(), MinMax(), MeanStd(mean=(0.5,), std=(0.25,))])
def test_a_card_is_written_without_what_older_versions_do_not_know(kind: Percentile | MinMax | MeanStd) -> None:
    card = find_model("nuclei").card.model_copy(update={"normalisation": kind})
    written = card.model_dump(mode="json")
    assert set(written["normalisation"]) == {"kind", *type(kind).model_fields} - {"per_channel", "clip"}
    assert "channel_roles" not in written
    assert ModelCard.model_validate(written) == card


def test_what_changes_the_numbers_changes_the_fingerprint() -> None:
    card = find_model("nuclei").card
    others = [Percentile(per_channel=True), Percentile(clip=(0, 1)), ZScore(), ZScore(eps=1e-3)]
    found = {card_fingerprint(card.model_copy(update={"normalisation": one})) for one in (card.normalisation, *others)}
    found.add(card_fingerprint(card.model_copy(update={"channel_roles": ("red", "green", "blue")})))
    assert len(found) == 6
