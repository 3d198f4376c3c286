"""What the commands have in common."""

import sys

import pytest

import napari_unetseg


def test_version(shell):
    run = shell("--version")
    assert (run.returncode, run.stdout.strip()) == (0, f"napari-unetseg {napari_unetseg.__version__}")


def test_help_names_every_command(call):
    run = call("--help")
    assert run.exit_code == 0
    for name in ("segment", "models", "health", "train", "demo"):
        assert name in run.stdout
        assert call(name, "--help").exit_code == 0


def test_an_unknown_command_exits_with_2_on_stderr(shell):
    run = shell("segmnt")
    assert run.returncode == 2
    assert "segmnt" in run.stderr
    assert run.stdout == ""


@pytest.mark.parametrize("words", [["--help"], ["segment", "--help"], ["models"]])
def test_torch_and_napari_stay_out_of_what_must_be_quick(words):
    import subprocess

    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from napari_unetseg.cli.main import app\n"
        f"assert CliRunner().invoke(app, {words}).exit_code == 0\n"
        "print(sorted({'torch', 'napari', 'qtpy', 'skimage', 'scipy'} & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("export", "nuclei", "-o", ""), "The value after -o is empty."),
        (("segment", "a.png", "--output="), "The value of --output is empty."),
        (("convert", "", "-o", "model"), "The value after convert is empty."),
    ],
)
def test_an_empty_value_is_no_path(call, words, said):
    result = call(*words)
    assert result.exit_code == 2
    assert said in result.output
