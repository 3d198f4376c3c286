import numpy as np
import pytest

from napari_unetseg.training.synthetic_background import draw_background, expose, log_uniform, scatter_debris, texture


@pytest.mark.parametrize("sigma", [1.0, 4.0, 12.0])
def test_texture_is_standard_and_as_smooth_as_asked(sigma: float) -> None:
    noise = texture(np.random.default_rng(0), 128, sigma)
    assert noise.shape == (128, 128)
    assert noise.dtype == np.float32
    assert noise.mean() == pytest.approx(0, abs=1e-5)
    assert noise.std() == pytest.approx(1, rel=1e-5)
    # Neighbours' correlation after a Gaussian blur is exp(-1 / 4 sigma^2).
    correlation = float((noise * np.roll(noise, 1, axis=0)).mean())
    assert correlation == pytest.approx(np.exp(-0.25 / sigma**2), abs=0.02)


def test_stretched_texture_is_smoother_one_way() -> None:
    steps = [np.gradient(texture(np.random.default_rng(seed), 128, 1, stretch=8)) for seed in range(6)]
    for down, across in steps:
        spread = np.linalg.eigvalsh(np.cov(down.ravel(), across.ravel()))
        assert spread[1] > 10 * spread[0]


def test_log_uniform_stays_in_its_range() -> None:
    rng = np.random.default_rng(0)
    drawn = [log_uniform(rng, 0.01, 100) for _ in range(500)]
    assert min(drawn) >= 0.01
    assert max(drawn) <= 100
    assert np.log10(drawn).mean() == pytest.approx(0, abs=0.2)
    assert np.log10(drawn).std() == pytest.approx(4 / np.sqrt(12), rel=0.1)


@pytest.mark.parametrize("seed", range(8))
def test_a_background_is_light_and_uneven(seed: int) -> None:
    light = draw_background(np.random.default_rng(seed), 96)
    assert light.shape == (96, 96)
    assert light.dtype == np.float32
    assert 0.3 < np.median(light) < 1.2
    assert light.min() > 0
    assert light.std() > 0


@pytest.mark.parametrize("seed", range(8))
def test_debris_leaves_its_input_alone_and_may_cross_the_edge(seed: int) -> None:
    labels = np.zeros((64, 64), np.int32)
    labels[:20, :20] = 1
    light = np.full((64, 64), 0.8, np.float32)
    littered = scatter_debris(np.random.default_rng(seed), light, labels, 6)
    assert (light == np.float32(0.8)).all()
    assert littered.dtype == np.float32
    assert np.isfinite(littered).all()
    assert littered.min() >= 0


def test_the_camera_moves_nothing() -> None:
    light = np.full((64, 64), 0.5, np.float32)
    light[20, 45] = 30
    for seed in range(60):
        image = expose(np.random.default_rng(seed), light)
        assert np.unravel_index(np.argmax(image), image.shape) == (20, 45)


def test_some_pictures_have_a_black_margin() -> None:
    light = np.full((64, 64), 0.5, np.float32)
    images = [expose(np.random.default_rng(seed), light) for seed in range(200)]
    assert 3 <= sum((image == 0).any() for image in images) <= 25
    for image in images:
        assert (image == 0).mean() <= 1 / 20
