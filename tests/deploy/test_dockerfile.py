"""The image: hadolint's rules, what has to hold of it, and what gets into it."""

import fnmatch
import re
import subprocess
import sysconfig
from pathlib import Path

HADOLINT = Path(sysconfig.get_path("scripts")) / "hadolint"


def instructions(path: Path) -> list[str]:
    """Each instruction in one line, comments left out."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [line for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def last_stage(path: Path) -> list[str]:
    lines = instructions(path)
    return lines[max(number for number, line in enumerate(lines) if line.startswith("FROM ")) :]


def test_hadolint_has_nothing_to_say(deploy: Path, tmp_path: Path) -> None:
    said = subprocess.run([HADOLINT, deploy / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "")
    wrong = tmp_path / "Dockerfile"
    wrong.write_text("FROM python\nRUN cd /tmp\n", encoding="utf-8")
    assert subprocess.run([HADOLINT, wrong], capture_output=True, check=False).returncode == 1


def test_the_image_runs_as_a_user_that_kubernetes_can_tell_is_not_root(deploy: Path) -> None:
    users = [line.split()[1] for line in last_stage(deploy / "Dockerfile") if line.startswith("USER ")]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


def test_everything_that_is_written_lies_in_the_volume_or_the_temporary_folder(deploy: Path) -> None:
    lines = last_stage(deploy / "Dockerfile")
    (environment,) = (line for line in lines if line.startswith("ENV "))
    homes = dict(re.findall(r"(HOME|XDG_\w+)=(\S+)", environment))
    assert set(homes) == {"HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"}
    assert set(homes.values()) <= {"/data", "/tmp"}
    assert "VOLUME /data" in lines


def test_the_server_is_started_without_a_shell_and_not_without_keys(deploy: Path) -> None:
    lines = last_stage(deploy / "Dockerfile")
    assert 'ENTRYPOINT ["napari-unetseg"]' in lines
    (command,) = (line for line in lines if line.startswith("CMD "))
    assert '"serve", "--host", "0.0.0.0", "--port", "8001"' in command
    assert "no-keys" not in command
    assert "EXPOSE 8001" in lines
    assert any(line.startswith("HEALTHCHECK ") and "healthcheck.py" in line for line in lines)


def test_what_is_copied_is_there_and_let_through(deploy: Path, repository: Path) -> None:
    rules = (deploy / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = [rule[1:] for rule in rules if rule.startswith("!")]
    assert "*" in rules
    copied = [
        source
        for line in instructions(deploy / "Dockerfile")
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert sorted(copied) == sorted(let_through)
    assert [source for source in copied if not (repository / source).exists()] == []


def test_no_layer_gets_what_is_secret(deploy: Path) -> None:
    rules = (deploy / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    open_to = [rule[1:] for rule in rules if rule.startswith("!")]
    for name in (".env", "keys.json", "deploy/keys.json", "models/mine/weights.safetensors", ".git/config"):
        assert not any(fnmatch.fnmatch(name, rule) or name.startswith(f"{rule}/") for rule in open_to), name
