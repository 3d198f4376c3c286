import pytest
import torch

from napari_unetseg.samples import hand_with_truth, nuclei_with_truth
from napari_unetseg.training import replay
from napari_unetseg.training.replay import agreement, known_pictures, make_exam, make_pool
from napari_unetseg.zoo.network_loading import load_network
from napari_unetseg.zoo.registry import find_model

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "PICTURES", (nuclei_with_truth, hand_with_truth))
    monkeypatch.setattr(replay, "POOL", (4, 2))
    monkeypatch.setattr(replay, "EXAM", (3, 3))


def test_a_model_is_asked_what_it_knows() -> None:
    package = find_model("nuclei")
    network = load_network(package)
    assert [picture.stem for picture in known_pictures(network, package.card, CPU)] == [nuclei_with_truth()[0].name]
    # One that finds nothing anywhere has to keep that.
    blind = package.card.parameters.model_copy(update={"threshold": 1.0})
    card = package.card.model_copy(update={"parameters": blind})
    assert len(known_pictures(network, card, CPU)) == 2


def test_answers_are_those_of_the_old_network_and_the_same_again() -> None:
    package = find_model("nuclei")
    network = load_network(package)
    pictures = known_pictures(network, package.card, CPU)
    pixels, answers = make_pool(network, package.card, pictures, 64, 3, CPU)
    assert pixels.shape == (6, 3, 64, 64)
    assert answers.shape == (6, 2, 64, 64)
    with torch.inference_mode():
        expected = network(pixels).sigmoid()
    assert (answers - expected).abs().max() < 0.1  # bfloat16
    again, _ = make_pool(network, package.card, pictures, 64, 3, CPU)
    assert torch.equal(pixels, again)


def test_a_model_agrees_with_itself_and_one_that_forgot_all_does_not() -> None:
    package = find_model("nuclei")
    network = load_network(package)
    exam = make_exam(network, package.card, known_pictures(network, package.card, CPU), CPU)
    assert any(labels.any() for labels in exam.labels)
    assert agreement(network, exam, package.card, CPU) == 1
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.5)
    assert agreement(network, exam, package.card, CPU) < 0.5
