"""The pages: their code runs as it stands, and what they point to is there."""

import re
import shlex
from pathlib import Path

import click
import numpy as np
import pytest
import torch

import vrlprobe as vrlprobe_package
from vrlprobe.cli.main import main as vrlprobe
from vrltrain.cli import main as vrltrain

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("fixtures/*.md")])
WRITTEN = [page for page in PAGES if page.name != "cli.md"]
"""Pages written by hand: the one of the command line has patterns, and a test of its own."""
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_of_the_repository(page: Path) -> None:
    # a file that git leaves out is not there in a clean checkout
    for link in LINK.findall(page.read_text()):
        assert (page.parent / link).exists(), link


def commands(text: str) -> list[tuple[str, bool]]:
    """Every call of the two commands in a page, and whether it is whole: the indented blocks.

    Those between backquotes in a sentence may leave out what they are given.
    """
    text = text.replace("\\\n", " ")
    call = r"(?:vrlprobe|vrltrain) "
    whole = re.findall(rf"^ {{4,}}(?:\.venv/bin/)?({call}.*)$", text, re.MULTILINE)
    return [(c, True) for c in whole] + [(c, False) for c in re.findall(rf"`({call}[^`]*)`", text)]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_on_a_page_is_known(page: Path) -> None:
    for line, whole in commands(page.read_text()):
        words = shlex.split(line, comments=True)
        ends = [words.index(word) for word in ("|", "&&", ">", "…") if word in words]
        name, *given = words[: min(ends, default=len(words))]
        command: click.Command = {"vrlprobe": vrlprobe, "vrltrain": vrltrain}[name]
        # a command keeps the help option of its first context, for the tests to come, too
        context = click.Context(command, info_name=name, **command.context_settings)
        while isinstance(command, click.Group) and given and not given[0].startswith("-"):
            found = command.get_command(context, given[0])
            assert found is not None, line
            command, given = found, given[1:]
            context = click.Context(command, info_name=command.name, parent=context)
        try:
            command.make_context(command.name, list(given), parent=context)
        except click.exceptions.Exit:  # --help
            pass
        except click.UsageError as error:
            incomplete = (
                click.MissingParameter,
                click.BadOptionUsage,
                click.exceptions.NoArgsIsHelpError,
            )
            if whole or not isinstance(error, incomplete):
                pytest.fail(f"{line}: {error.format_message()}")


def code(name: str) -> str:
    """The first block of Python in a document."""
    text = (ROOT / "docs" / name).read_text()
    (block, *_) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    return block


@pytest.mark.needs("egl")
@pytest.mark.filterwarnings("ignore:no sample set")
def test_your_own_network(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    block = code("own-network.md")
    names: dict = {"__name__": "__main__"}
    exec(compile(block, "own-network.md", "exec"), names)
    result = names["result"]
    assert result["layer"].values.tolist() == ["pixels", "conv1", "conv2", "hidden"]
    assert np.isfinite(result["test_mse"]).all()
    assert "velocity[1]" in capsys.readouterr().out


class _Actor(torch.nn.Module):
    """Returns what the page's actor returns."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp1, self.mlp2, self.head = (
            torch.nn.Linear(*sizes) for sizes in ((5, 8), (8, 8), (8, 2))
        )

    def forward(self, seen):
        mlp1 = self.mlp1(seen).relu()
        mlp2 = self.mlp2(mlp1).relu()
        return self.head(mlp2).tanh(), mlp1, mlp2


def test_in_a_loop_of_your_own(capsys):
    torch.manual_seed(0)
    actor, rows, begun = _Actor(), [], []
    with torch.no_grad():  # the same whatever is seen, and no gradient: collapse
        actor.mlp1.weight.mul_(1e-6)
        actor.mlp1.bias.fill_(1)
        actor.head.weight.zero_()
    names = {
        "evaluations": range(50_000, 300_000, 50_000), "observations": torch.randn(30, 5),
        "actor": actor, "actor_loss": torch.sum, "log": rows.append,
        "start_again": lambda: begun.append(len(rows)),
    }  # fmt: skip
    exec(compile(code("collapse.md"), "collapse.md", "exec"), names)
    assert begun == [4]
    assert {"action_spread", "grad_norm[mlp1]", "dead_units[mlp1]"} <= set(rows[0])
    assert "200000 stuck since 50,000" in capsys.readouterr().out


def test_from_python(tmp_path, monkeypatch, capsys):
    for name in ("fixtures", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "__main__"}
    exec(compile(code("python.md"), "python.md", "exec"), names)
    assert names["cnn4"].shape == (501, 4624)
    assert "escaped at 40,000 and stuck since" in capsys.readouterr().out
    assert names["figure4"]._repr_png_().startswith(b"\x89PNG")
    assert vrlprobe_package.load_result("collapse.nc").equals(names["measured"])
    assert (tmp_path / "cohorts.png").stat().st_size > 10_000
