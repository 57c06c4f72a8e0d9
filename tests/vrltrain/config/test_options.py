"""What is given on the command line: typos, options without effect, defaults of their own."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from vrlprobe._group import as_options
from vrltrain import cli
from vrltrain.cli import main
from vrltrain.config.options import given_config


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--task", "walker_wlak"], 1, "walker_walk"),
        (["--profile", "dekstop"], 2, "'dekstop'"),
        (["--batch-size", "0"], 2, "batch_size is 0, needed 1 or more"),
        (["--image-size", "10"], 2, "at least 15"),
        (["--seed", "99999999999999999999"], 2, "99999999999999999999"),
        (["--task", ""], 1, "task"),
        (["--reset-parts", "mlp"], 2, "--reset-parts has no effect without --reset-rule"),
        (
            ["--reset-metric", "action_spread"],
            2,
            "--reset-metric has no effect without --reset-rule",
        ),
        (["--perturb-rate", "5"], 2, "--perturb-rate has no effect without --perturb-steps"),
        (["--init-blanks", "file"], 2, "--init-blanks has no effect without --init"),
        (["--lr", "-1"], 2, "learning_rate is -1"),
        (["--device", "gpu"], 1, "device 'gpu' cannot be used here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_typo_gets_a_line(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    result = CliRunner().invoke(main, ["run", *words, "-o", str(tmp_path / "a.h5")])
    assert (result.exit_code, said in result.stderr) == (code, True), result.stderr
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
    folder = CliRunner().invoke(main, ["run", "--seed", "3", "-o", str(tmp_path)])
    assert folder.exit_code == 2
    assert f"is a folder: name the run file in it, -o {tmp_path}/walker_walk-seed3.h5" in " ".join(
        folder.output.split()
    )
    told = CliRunner().invoke(main, ["run", "--scratch", str(tmp_path / "none")])
    assert told.stderr.endswith("to write in (--scratch)\n")
