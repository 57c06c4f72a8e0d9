"""`python -m benchmarks`: measure the grid, write the table and the picture."""

import json
from pathlib import Path

import click
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.data import observations, trained_agent
from benchmarks.draw import draw
from benchmarks.measure import Row, measure
from vrlprobe.agents.activations import feature_major_activations

LAYERS = ("mlp1", "cnn4", "cnn0")
SAMPLES, TARGETS, SPARSITIES = (1000, 2000, 5000), (1, 24), (20, 50, 100)
COLUMNS = (
    "n",
    "d",
    "K",
    "r",
    "moving",
    "setting_up",
    "solve",
    "scikit_learn",
    "products",
    "memory",
)


@click.command()
@click.option("--quick", is_flag=True, help="Only cnn4, 2,000 samples, 24 targets, 50 atoms.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("build/benchmarks"))
def main(quick: bool, output: Path) -> None:
    """Times of one thread over samples, features, targets and atoms; about ten minutes."""
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    images, states = observations(output, max(SAMPLES) + 1000)
    agent = trained_agent(images, states)
    layers = ("cnn4",) if quick else LAYERS
    samples = (2000,) if quick else SAMPLES
    sizes = [(24, 50)] if quick else [(K, r) for K in TARGETS for r in SPARSITIES]
    rows: list[Row] = []
    with threadpool_limits(1):
        for layer in layers:
            found = feature_major_activations(agent, images[: max(samples)], [layer])[layer]
            for n in samples:
                rows += measure(layer, found[:, :n].contiguous(), states[:n], sizes)
                click.echo(f"{layer}, {n} samples done", err=True)
                stored = [row.stored() for row in rows]
                (output / "rows.json").write_text(json.dumps(stored, indent=1))
    click.echo(table(rows))
    if not quick:
        draw(rows, output / "benchmarks.png")


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    names = [*COLUMNS, *rows[0].ratios()]
    lines = [names, ["---"] * len(names)]
    for row in rows:
        stored = row.stored()
        lines.append([_shown(stored[name]) for name in names])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(value: float | int | str) -> str:
    return f"{value:.3g}" if isinstance(value, float | np.floating) else str(value)


if __name__ == "__main__":
    main()
