"""What is given on the command line: typos, options without effect, defaults of their own."""

from pathlib import Path

from click.testing import CliRunner

from vrlprobe._group import as_options
from vrltrain import cli
from vrltrain.cli import main
from vrltrain.config.options import given_config


def test_typos_get_a_line_each(tmp_path: Path) -> None:
    runner = CliRunner()
    wrong_task = runner.invoke(main, ["run", "--task", "walker_wlak"])
    assert wrong_task.exit_code == 1
    assert "walker_walk" in wrong_task.stderr
    wrong_profile = runner.invoke(main, ["run", "--profile", "dekstop"])
    assert wrong_profile.exit_code == 2
    wrong_value = runner.invoke(main, ["run", "--batch-size", "0"])
    assert wrong_value.exit_code == 2
    assert "batch_size is 0, needed 1 or more" in wrong_value.stderr
    too_small = runner.invoke(main, ["run", "--image-size", "10"])
    assert too_small.exit_code == 2
    assert "at least 15" in too_small.stderr
    huge_seed = runner.invoke(main, ["run", "--seed", "99999999999999999999"])
    assert huge_seed.exit_code == 2
    no_task = runner.invoke(main, ["run", "--task", ""])
    assert no_task.exit_code == 1
    for idle, switch in (
        (["--reset-parts", "mlp"], "--reset-rule"),
        (["--reset-metric", "action_spread"], "--reset-rule"),
        (["--perturb-rate", "5"], "--perturb-steps"),
        (["--init-blanks", "file"], "--init"),
    ):
        result = runner.invoke(main, ["run", *idle])
        told = f"{idle[0]} has no effect without {switch}"
        assert (result.exit_code, told in result.stderr) == (2, True)
    short = runner.invoke(main, ["run", "--lr", "-1"])
    assert (short.exit_code, "learning_rate is -1" in short.stderr) == (2, True)
    no_device = runner.invoke(main, ["run", "--device", "gpu", "-o", str(tmp_path / "a.h5")])
    assert no_device.exit_code == 1
    assert "device 'gpu' cannot be used here" in no_device.stderr
    assert not list(tmp_path.iterdir())


def test_the_spread_has_a_threshold_of_its_own_in_the_rule() -> None:
    def threshold(**given: object) -> float:
        return given_config(None, None, 0, {"reset_rule": True, **given}).reset_threshold

    assert threshold() == 1e-3
    assert threshold(reset_metric="grad_norm[mlp2]") == 1e-3
    assert threshold(reset_metric="action_spread") == 0.1
    assert threshold(reset_metric="action_spread", reset_threshold=0.2) == 0.2


def test_messages_of_the_library_name_a_command_s_options(tmp_path: Path) -> None:
    """Those of `run` and `sweep`; resume has none of the settings, so that arguments stay."""
    message = 'choose `images="none"`, `cuda_graph=False` or a smaller `replay_capacity`'
    options = "choose --images none, --no-cuda-graph or a smaller --replay-capacity"
    for command in (cli.run, cli.sweep):
        assert as_options(message, command) == options
    assert as_options(message, cli.resume) == message
    told = CliRunner().invoke(main, ["run", "--scratch", str(tmp_path / "none")])
    assert told.stderr.endswith("to write in (--scratch)\n")
