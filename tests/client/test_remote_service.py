"""A server process computes; the labels are those of this machine."""

import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest

from napari_unetseg import Cancelled, Image, SegmentationService
from napari_unetseg.client import RemoteService, check_server, repeating_service
from napari_unetseg.client.connection import ConnectionClosed
from napari_unetseg.client.errors import KeyRefused, ServerDied, ServerError, ServerUnreachable
from napari_unetseg.client.remote_model import RemoteModel
from napari_unetseg.errors import ImageError, ModelError, ParameterError
from napari_unetseg.server.keys import add_key
from napari_unetseg.service import Failure, RunRecipe, Segmentation
from napari_unetseg.service.forecast import Workload
from napari_unetseg.service.run_recipe import RunRecipeError


@pytest.fixture
def squares():
    image = np.random.default_rng(5).integers(0, 300, (90, 120)).astype(np.uint16)
    image[10:30, 10:30] = 60_000
    image[50:80, 60:100] = 50_000
    return image


@pytest.fixture
def remote(server):
    with RemoteService(server.url) as service:
        yield service


@pytest.fixture(scope="module")
def local(bright_model):
    with SegmentationService(bright_model) as service:
        yield service


def assert_equal(one, other):
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.probability.tobytes() == other.probability.tobytes()
    assert (one.agreement is None) == (other.agreement is None)
    assert one.agreement is None or one.agreement.tobytes() == other.agreement.tobytes()
    assert one.measurements.keys() == other.measurements.keys()
    for name, column in one.measurements.items():
        np.testing.assert_array_equal(column, other.measurements[name])


@pytest.mark.parametrize("options", [{}, {"augment": True}, {"diameter": 20.0, "threshold": 0.3}, {"channel": 1}])
@pytest.mark.parametrize("axes", ["YX", "YXC", "CYX"])
def test_a_server_gives_the_same_result(remote, local, squares, axes, options):
    pixels = squares if axes == "YX" else np.stack([squares, np.roll(squares, 3, 1), squares], -1)
    image = Image(np.moveaxis(pixels, -1, 0) if axes == "CYX" else pixels, axes, rgb=axes == "YXC", name="cells")
    if axes == "YX" and "channel" in options:
        options = {}
    here, there = local.segment(image, **options), remote.segment(image, **options)
    assert here.count > 0
    assert_equal(there, here)
    assert there.warnings == here.warnings
    own = {"server", "versions", "started", "seconds", "request_id", "model_source", "batch_size"}
    mine, its = here.provenance.as_dict(), there.provenance.as_dict()
    assert {k: v for k, v in its.items() if k not in own} == {k: v for k, v in mine.items() if k not in own}


def test_the_record_says_where_the_network_ran(remote, server, squares):
    made = remote.segment(squares).provenance
    assert made.server["address"] == server.url
    assert made.server["version"] == remote.version
    assert "torch" in made.server["versions"]
    assert "torch" not in made.versions
    assert made.model_source == "bright"


def test_stacks_and_progress(remote, local, squares):
    stack = Image(np.stack([squares, squares[::-1], squares // 3]), "ZYX")
    told = []
    there = remote.segment(stack, link=True, progress=lambda *counts: told.append(counts))
    assert_equal(there, local.segment(stack, link=True))
    assert told[-1] == (3, 3)
    assert told == sorted(told)


def test_a_batch_comes_in_order_and_each_fails_alone(remote, squares):
    def broken():
        raise ImageError("Torn.")

    names = [f"image {number}" for number in range(7)]
    images = [Image(np.roll(squares, number, 1), name=name) for number, name in enumerate(names)]
    images[2] = broken
    results = list(remote.iter_batch(images))
    assert [type(result) for result in results] == [Segmentation] * 2 + [Failure] + [Segmentation] * 4
    assert [result.image.name for result in results if isinstance(result, Segmentation)] == names[:2] + names[3:]
    assert str(results[2]) == "Torn."


def test_several_images_are_with_the_server_at_once(server, squares, settings_with, monkeypatch):
    at_once, settle = [], RemoteModel._settle

    def count(model, run):
        at_once.append(len(run.sent))
        return settle(model, run)

    monkeypatch.setattr(RemoteModel, "_settle", count)
    with RemoteService(server.url, settings=settings_with(parallel_requests=3)) as service:
        assert len(list(service.iter_batch([lambda: Image(squares)] * 5))) == 5
    assert at_once[0] == max(at_once) == 3


@pytest.fixture
def settings_with():
    from napari_unetseg.config import load_settings

    def make(**client):
        settings = load_settings().settings
        return settings.model_copy(update={"client": settings.client.model_copy(update=client)})

    return make


def test_to_cancel_ends_the_run(remote, squares):
    with pytest.raises(Cancelled):
        remote.segment(squares, cancel=lambda: True)
    results = list(remote.iter_batch([squares, squares], cancel=lambda: True))
    assert [type(result.error) for result in results] == [Cancelled, Cancelled]


def test_wrong_parameters_are_refused_as_here(remote, squares):
    with pytest.raises(ParameterError, match="threshold"):
        remote.segment(squares, threshold=3)
    with pytest.raises(ParameterError, match="diameter"):
        remote.segment(squares, diameter=-1)


def test_models_go_by_their_names(remote, server, bright_model, tmp_path, squares):
    assert remote.package.name == "bright"
    assert remote.with_model("nuclei").package.card.display_name == "Nuclei"
    assert remote.segment(squares, model=bright_model).warnings == remote.segment(squares).warnings
    other = tmp_path / "bright"
    shutil.copytree(bright_model, other)
    card = (other / "model.yaml").read_text(encoding="utf-8")
    sha256 = remote.package.card.weights.sha256
    (other / "model.yaml").write_text(card.replace(sha256, "f" * 64), encoding="utf-8")
    assert "other weights" in remote.segment(squares, model=other).warnings[0]
    with pytest.raises(ModelError, match=r"does not have the model 'none'.*bright, nuclei"):
        RemoteService(server.url, "none")


def test_the_server_tells_of_itself(remote, server):
    report = check_server(server.url)
    assert (report.address, report.version) == (server.url, remote.version)
    assert report.models[:2] == ("bright", "nuclei")
    assert report.packages[0] == remote.package
    ready = remote.initialize()
    assert ready.message == f"Bright objects is ready on cpu of {server.url.removeprefix('http://')}."
    assert ready.info == remote.model_info()
    assert (ready.info.origin, ready.info.precision, ready.info.loaded) == ("server", "float32", True)
    assert remote.health(dummy_inference=False).service_healthy
    assert not remote.needs_conversion()
    with pytest.raises(ServerError, match="on the machine that runs them"):
        remote.calibrate([])
    with pytest.raises(ServerError, match="on the machine that has the image and the model"):
        remote.segment_blocks(np.zeros((8, 8)), "job", None)


def test_a_forecast_knows_what_runs_took(remote, squares):
    remote.initialize()
    before = remote.forecast(Workload(squares.shape))
    assert (before.device, before.seconds) == ("cpu", None)
    remote.segment(squares)
    after = remote.forecast(Workload(squares.shape, 10))
    assert after.basis == "runs"
    assert after.seconds > 0


def test_try_all_tries_the_models_of_the_server(remote, squares):
    trials = list(remote.try_all(squares, models=["bright"]))
    assert [(trial.package.name, trial.count) for trial in trials] == [("bright", 2)]
    assert {package.name for package in remote._packages.usable()} >= {"bright", "nuclei"}


def test_a_result_is_made_again_where_it_was_made(remote, server, squares, tmp_path):
    from napari_unetseg.service import read_run_recipe, write_run_recipe
    from napari_unetseg.service.recipe_text import as_command, as_python

    result = remote.segment(Image(squares, name="cells"), threshold=0.4)
    path = tmp_path / "recipe.yaml"
    write_run_recipe(path, RunRecipe.of(result.provenance))
    recipe = read_run_recipe(path)
    with repeating_service(recipe) as service:
        assert isinstance(service, RemoteService)
        assert recipe.differences(service.model_info()) == ()
        assert_equal(service.segment(squares, **recipe.segment_options()), result)
    with pytest.raises(RunRecipeError, match="repeating_service"):
        recipe.service()
    assert f"--server {server.url} --model bright" in as_command(recipe, windows=False)
    assert f"RemoteService({server.url!r}, 'bright')" in as_python(recipe)
    compile(as_python(recipe), "script", "exec")
    changed = recipe.model_copy(update={"model": recipe.model.model_copy(update={"sha256": "0" * 64})})
    with pytest.raises(RunRecipeError, match="is not the one"):
        repeating_service(changed)


def test_after_close_it_says_so(server, squares):
    service = RemoteService(server.url)
    service.unload()
    service.segment(squares)
    service.close()
    with pytest.raises(ConnectionClosed):
        service.segment(squares)


def test_a_server_that_is_killed_in_a_run(start_server, squares):
    server = start_server()
    with RemoteService(server.url) as service:
        service.initialize()
        begun, outcome = threading.Event(), []
        image = Image(np.tile(squares, (60, 60)), name="large")

        def run():
            try:
                outcome.append(service.segment(image, augment=True, progress=lambda *_: begun.set()))
            except Exception as error:
                outcome.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        assert begun.wait(120)
        server.process.kill()
        server.process.wait()
        thread.join(60)
        (error,) = outcome
        assert type(error) is ServerDied
        with pytest.raises(ServerUnreachable):
            service.segment(squares)
        assert not (report := service.health()).service_healthy
        assert "no server does at this port" in report.problems[0]


def test_keys(start_server, monkeypatch, tmp_path, squares):
    keys = tmp_path / "keys.json"
    key = add_key(keys, "desk")
    server = start_server("--host", "0.0.0.0", UNET_SERVER_KEYS_FILE=str(keys))
    url = server.url.replace("0.0.0.0", "127.0.0.1")
    with pytest.raises(KeyRefused, match="wants a key"):
        RemoteService(url)
    with pytest.raises(KeyRefused, match="does not know the key"):
        RemoteService(url, key="wrong")
    with RemoteService(url, key=key) as service:
        assert service.segment(squares).count == 2
    monkeypatch.setenv("UNET_CLIENT_KEY", key)
    assert check_server(url).models[0] == "bright"


def test_replaced_weights_are_noticed(remote, squares):
    remote._packages.own = replace(
        remote.package,
        card=remote.package.card.model_copy(
            update={"weights": remote.package.card.weights.model_copy(update={"sha256": "0" * 64})}
        ),
    )
    with pytest.raises(ServerError, match="was replaced there"):
        remote.segment(squares)
