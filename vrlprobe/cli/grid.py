"""`vrlprobe grid`: every CNN with every MLP, nine cells for blank, good and bad."""

from pathlib import Path

import click

from vrlprobe._text import aligned
from vrlprobe.analyses._grid import grid as study
from vrlprobe.analyses.shared.assembly import Transplant
from vrlprobe.analyses.shared.donors import WORDS, Pair
from vrlprobe.cli.common import FILE, Session, split_list
from vrlprobe.cli.donors import donor_options
from vrlprobe.cli.run_name import RunName
from vrlprobe.errors import FormatError
from vrlprobe.runs.reader import open_run


@click.command()
@click.option(
    "--good", "good_runs", type=FILE, multiple=True, metavar="RUN",
    help="A run to draw good donors from, instead of --runs; repeat it for several.",
)  # fmt: skip
@click.option(
    "--bad", "bad_runs", type=FILE, multiple=True, metavar="RUN", help="The same for bad donors."
)
@click.option(
    "--donors", default="blank,good,bad", show_default=True, metavar="DONOR,…",
    help="Rows and columns of the grid: donors as for `vrlprobe transplant`, or NAME=DONOR.",
)  # fmt: skip
@click.option(
    "--critic", "critics", multiple=True, default=["mlp"], show_default=True,
    metavar="mlp|cnn|DONOR", type=RunName("mlp", "cnn", *WORDS),
    help="Where the critic comes from; repeat it to add cells where that makes a difference.",
)  # fmt: skip
@donor_options
@click.option("-o", "--output", type=FILE, default="grid", show_default=True, help="Output folder.")
def grid(
    good_runs: tuple[Path, ...],
    bad_runs: tuple[Path, ...],
    donors: str,
    critics: tuple[str, ...],
    runs: Path,
    task: str | None,
    seed: int,
    pair: Pair,
    good: float | None,
    bad: float | None,
    output: Path,
) -> None:
    """Assemble an agent from every CNN and every MLP (paper, Figure 3).

    The files are OUTPUT/CNN-MLP.h5: train them with `vrltrain sweep OUTPUT/*.h5 --seeds 0-19`,
    count with `vrlprobe cohort --by init`. Existing cells are left as they are.

    \b
    vrlprobe grid --good runs/seed1.h5 --bad runs/seed3.h5 --pair same -o grid/
    vrlprobe grid --donors blank,early=runs/seed1.h5@20000,late=runs/seed1.h5 -o grid/
    """
    with Session():
        cells = list(
            study(
                _named(donors), critics=critics,
                chosen={"good": good_runs, "bad": bad_runs},
                runs=runs, task=task, seed=seed, pair=pair, good=good, bad=bad,
            )
        )  # fmt: skip
    output.mkdir(parents=True, exist_ok=True)
    new = [cell for cell in cells if not _is_there(cell, output)]
    for cell in new:
        cell.save(_path(cell, output))
    click.echo(aligned([_row(cell) for cell in cells]))
    click.echo(f"wrote {len(new)} of {len(cells)} cells to {output}", err=True)


def _named(text: str) -> dict[str, str]:
    items = [item.partition("=") for item in split_list(text) or []]
    named = {name.strip(): (donor if mark else name).strip() for name, mark, donor in items}
    if len(named) < len(items):
        raise click.BadParameter(f"a name is there twice: {text}", param_hint="--donors")
    if any("/" in name for name in named):
        raise click.BadParameter(
            f"a run file needs a name, NAME=FILE, or one of {', '.join(WORDS[:-1])}: {text}",
            param_hint="--donors",
        )
    return named


def _path(cell: Transplant, folder: Path) -> Path:
    return folder / f"{cell.label}.h5"


def _is_there(cell: Transplant, folder: Path) -> bool:
    """Whether the cell's file is there; one with other parameters is refused."""
    path = _path(cell, folder)
    if not path.exists():
        return False
    with open_run(path) as run:
        if list(run.frames) == [0] and run.digest(0) == cell.digest:
            return True
    raise FormatError(f"{path} holds another agent: choose another folder (-o)")


def _row(cell: Transplant) -> dict[str, str]:
    def text(piece: str) -> str:
        origin = cell.origins[piece]
        return f"{origin['run']}@{origin['frame']}" if "run" in origin else "blank"

    parts = {"CNN": "cnn1", "MLP": "mlp0", "critic": "critic"}
    return {"cell": cell.label, **{name: text(piece) for name, piece in parts.items()}}
