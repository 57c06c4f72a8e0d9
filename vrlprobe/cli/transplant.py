"""`vrlprobe transplant`: an agent of one donor's CNN and another's MLP."""

import json
from pathlib import Path

import click

from vrlprobe._text import aligned
from vrlprobe.analyses._transplant import transplant as study
from vrlprobe.analyses.shared.assembly import Transplant
from vrlprobe.analyses.shared.donors import WORDS, Pair
from vrlprobe.cli.common import FILE, Session, split_list
from vrlprobe.cli.donors import DONOR, donor_options
from vrlprobe.cli.run_name import RunName


@click.command()
@click.option("--cnn", required=True, type=DONOR, metavar="DONOR", help="Donor of the encoder.")
@click.option(
    "--mlp",
    required=True,
    type=DONOR,
    metavar="DONOR",
    help="Donor of the actor: trunk and policy.",
)
@click.option(
    "--critic", default="mlp", show_default=True, metavar="mlp|cnn|DONOR",
    type=RunName("mlp", "cnn", *WORDS),
    help="Donor of the critic and its target: the MLP's, the CNN's, or one of its own.",
)  # fmt: skip
@click.option(
    "--layers", metavar="PIECE=DONOR,…",
    help="Donors of single pieces: cnn1 to cnn4, mlp0, mlp1, mlp2, head.",
)  # fmt: skip
@donor_options
@click.option(
    "-o", "--output", type=FILE, help="The assembled run file.  [default: transplant-CNN-MLP.h5]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the origin of each piece as JSON.")
def transplant(
    cnn: str,
    mlp: str,
    critic: str,
    layers: str | None,
    runs: Path,
    task: str | None,
    seed: int,
    pair: Pair,
    good: float | None,
    bad: float | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Assemble an agent from donors into a run file, to be trained with `vrltrain run --init`.

    A DONOR is good, middle or bad: drawn from the finished runs under --runs by their final
    return; blank: freshly initialised; self: the other part's donor; or a run file. After an @
    comes the checkpoint: last, best, collapsed (the last one in action collapse) or a frame.

    \b
    vrlprobe transplant --cnn good --mlp bad
    vrlprobe transplant --cnn runs/seed3.h5@40000 --mlp self --critic blank
    vrlprobe transplant --cnn good --mlp good --layers mlp1=bad,head=bad
    """
    single = _pieces(layers)
    with Session():
        made = study(
            cnn, mlp, critic=critic, layers=single,
            runs=runs, task=task, seed=seed, pair=pair, good=good, bad=bad,
        )  # fmt: skip
    path = output or Path(f"transplant-{made.label}.h5")
    made.save(path)
    if as_json:
        click.echo(json.dumps({"path": str(path), "label": made.label, "pieces": made.origins}))
    else:
        click.echo(describe(made))
    click.echo(f"wrote {path}", err=True)


def _pieces(text: str | None) -> dict[str, str]:
    pairs = [item.partition("=") for item in split_list(text) or []]
    if any(not mark or not donor for _, mark, donor in pairs):
        raise click.BadParameter(f"needed PIECE=DONOR, found {text}", param_hint="--layers")
    return {piece.strip(): donor.strip() for piece, _, donor in pairs}


def describe(made: Transplant) -> str:
    """A row for each run of pieces that are from one donor."""
    groups: dict[str, list[str]] = {}
    for piece, origin in made.origins.items():
        groups.setdefault(json.dumps(origin), []).append(piece)
    rows = []
    for text, pieces in groups.items():
        origin = json.loads(text)
        frame, returned = origin.get("frame"), origin.get("episode_return")
        rows.append(
            {
                "pieces": " ".join(pieces),
                "donor": origin["donor"],
                "run": origin.get("run", "-"),
                "frame": "-" if frame is None else f"{frame:,}",
                "return": "-" if returned is None else f"{returned:.0f}",
                "why": origin["why"],
            }
        )
    return aligned(rows)
