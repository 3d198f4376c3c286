"""compose.yaml and the Kubernetes manifests: valid, as published, and agreeing with the image and with one another."""

import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from napari_unetseg.config import load_settings
from napari_unetseg.errors import ConfigError

VALIDATE = Path(sysconfig.get_path("scripts")) / "kubernetes-validate"


def validate(path: Path) -> str:
    """What kubernetes-validate says; the exit status of an unknown kind is 0 too."""
    line = [VALIDATE, "--strict", path]
    said = subprocess.run(line, capture_output=True, text=True, check=False)
    return said.stdout + said.stderr


@pytest.fixture
def manifests(deploy: Path) -> dict[str, Any]:
    """Each object by its kind."""
    loaded = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(deploy.glob("kubernetes/*.yaml"))]
    return {one["kind"]: one for one in loaded}


@pytest.fixture
def container(manifests: dict[str, Any]) -> Any:
    (only,) = manifests["Deployment"]["spec"]["template"]["spec"]["containers"]
    return only


def test_every_manifest_is_valid(deploy: Path) -> None:
    paths = sorted(deploy.glob("kubernetes/*.yaml"))
    assert len(paths) >= 6
    assert {path.name: said for path in paths if " passed for resource " not in (said := validate(path))} == {}


def test_a_misspelt_probe_would_be_found(deploy: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "deployment.yaml"
    text = (deploy / "kubernetes" / "deployment.yaml").read_text(encoding="utf-8")
    wrong.write_text(text.replace("readinessProbe", "readynessProbe"), encoding="utf-8")
    assert " passed for resource " not in validate(wrong)


def test_resources_and_replicas_are_the_published_ones(manifests: dict[str, Any], container: Any) -> None:
    assert manifests["Deployment"]["spec"]["replicas"] == 3
    assert container["resources"]["requests"]["memory"] == "4Gi"
    assert container["resources"]["requests"]["nvidia.com/gpu"] == 1
    assert container["resources"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": 1}
    assert {"name": "UNET_MODEL_DEVICE", "value": "cuda"} in container["env"]
    assert [port["containerPort"] for port in container["ports"]] == [8001]


def test_the_pod_may_write_to_its_volumes_alone(manifests: dict[str, Any], container: Any) -> None:
    pod = manifests["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/data", "/tmp"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_probes_tell_alive_from_ready(container: Any) -> None:
    asked = {name: probe["httpGet"] for name, probe in container.items() if name.endswith("Probe")}
    assert asked == {
        "startupProbe": {"path": "/livez", "port": "http"},
        "livenessProbe": {"path": "/livez", "port": "http"},
        "readinessProbe": {"path": "/readyz", "port": "http"},
    }


def test_the_settings_in_the_configmap_are_settings(
    manifests: dict[str, Any], container: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(manifests["ConfigMap"]["data"]["config.yaml"], encoding="utf-8")
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    loaded = load_settings(file)
    assert loaded.settings.unet.model.device == "cuda"
    assert loaded.warnings == ()
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert str(loaded.settings.server.keys_file.parent) in mounts  # type: ignore[union-attr]
    named = next(one["value"] for one in container["env"] if one["name"] == "NAPARI_UNETSEG_CONFIG")
    assert str(Path(named).parent) in mounts
    assert Path(named).name in manifests["ConfigMap"]["data"]


def test_a_stop_leaves_running_requests_their_time(manifests: dict[str, Any], container: Any) -> None:
    told = yaml.safe_load(manifests["ConfigMap"]["data"]["config.yaml"])["server"]["shutdown_s"]
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert manifests["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > before + 2 * told


def test_the_variables_that_kubernetes_sets_for_a_service_stay_out(
    manifests: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNET_SERVER_PORT", "tcp://10.0.0.1:8001")  # what a Service called unet-server gives every pod
    with pytest.raises(ConfigError, match="UNET_SERVER_PORT"):
        load_settings()
    assert manifests["Deployment"]["spec"]["template"]["spec"]["enableServiceLinks"] is False


def test_objects_name_one_another(manifests: dict[str, Any], container: Any) -> None:
    labels = manifests["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert manifests["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["Service"]["spec"]["selector"] == labels
    assert manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    target = manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", manifests["Deployment"]["metadata"]["name"])
    assert manifests["HorizontalPodAutoscaler"]["spec"]["minReplicas"] == manifests["Deployment"]["spec"]["replicas"]
    assert manifests["Service"]["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    volumes = {one["name"]: one for one in manifests["Deployment"]["spec"]["template"]["spec"]["volumes"]}
    assert volumes["config"]["configMap"]["name"] == manifests["ConfigMap"]["metadata"]["name"]
    claim = manifests["PersistentVolumeClaim"]
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]  # as three pods share it


def test_the_autoscaler_asks_for_the_metric_that_the_adapter_hands_on(deploy: Path, manifests: dict[str, Any]) -> None:
    (metric,) = manifests["HorizontalPodAutoscaler"]["spec"]["metrics"]
    (rule,) = yaml.safe_load((deploy / "prometheus-adapter.yaml").read_text(encoding="utf-8"))["rules"]["custom"]
    assert re.match(r"\w+", rule["seriesQuery"])[0] == metric["pods"]["metric"]["name"]  # type: ignore[index]


@pytest.mark.parametrize("service", ["cpu", "gpu"])
def test_compose_runs_the_image_as_it_is_meant(deploy: Path, service: str) -> None:
    compose = yaml.safe_load((deploy / "compose.yaml").read_text(encoding="utf-8"))
    told = compose["services"][service]
    assert told["profiles"] == [service]
    assert told["read_only"] is True
    assert told["ports"] == ["8001:8001"]
    dockerfile = (deploy.parent / told["build"]["dockerfile"]).read_text(encoding="utf-8")
    assert f"USER {told['user']}\n" in dockerfile
    assert "HEALTHCHECK" in dockerfile
    assert "healthcheck" not in told  # the image's own stands
    for argument in told["build"].get("args", {}):
        assert f"ARG {argument}=" in dockerfile
    assert told["tmpfs"][0].startswith("/tmp:")
    assert [volume.split(":")[1] for volume in told["volumes"]] == ["/etc/napari-unetseg/config.yaml", "/data"]
    assert told["environment"]["NAPARI_UNETSEG_CONFIG"] == "/etc/napari-unetseg/config.yaml"
    assert (deploy / told["build"]["context"]).resolve() == deploy.parent


def test_compose_stops_after_the_server_has_given_up(deploy: Path) -> None:
    settings = load_settings(deploy / "config.yaml").settings
    compose = yaml.safe_load((deploy / "compose.yaml").read_text(encoding="utf-8"))
    for told in compose["services"].values():
        assert int(told["stop_grace_period"].removesuffix("s")) > 2 * settings.server.shutdown_s
