"""`python -m benchmarks.metrics`: where the time of `vrlprobe metrics` goes, at the paper's size.

The metrics' own arithmetic beside what nobody can do without: reading the checkpoint, the forward
pass, and the backward pass of the gradient norm.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.run import write_run
from vrlprobe import metrics as measure
from vrlprobe._text import aligned
from vrlprobe.agents.activations import extract_activations
from vrlprobe.analyses._metrics import MLP_LAYERS, action_metrics
from vrlprobe.metrics.gradients import gradient_norms
from vrlprobe.runs.reader import open_run
from vrlprobe.samples.make import make_samples

LAYERS = [*MLP_LAYERS, "action"]
PARTS = ("reading", "forward pass", "gradient norm", "metrics")


@click.command()
@click.option("--checkpoints", default=5, show_default=True)
@click.option("--samples", default=1000, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("build/benchmarks"))
def main(checkpoints: int, samples: int, output: Path) -> None:
    """CPU seconds of one thread a checkpoint, by part."""
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    path = output / f"whole-{checkpoints}.h5"
    if not path.is_file():
        write_run(path, checkpoints, output, critics=True)
    with threadpool_limits(1), open_run(path) as run:
        chosen = make_samples([run], samples)
        images = chosen.observations(np.arange(len(chosen)))
        times = [_parts(run, frame, images) for frame in run.frames.tolist()]
    means = {name: sum(found[name] for found in times) / len(times) for name in PARTS}
    total = sum(means.values())
    rows = [
        {"part": name, "seconds": f"{value:.3f}", "share": f"{value / total:.0%}"}
        for name, value in means.items()
    ]
    click.echo(aligned(rows))
    minutes = 110 * total / 60
    click.echo(f"{len(images)} samples; {total:.1f} s a checkpoint, 110 in {minutes:.1f} min")


def _parts(run: Any, frame: int, images: Any) -> dict[str, float]:
    agent, reading = _timed(lambda: run.agent(frame))
    found, forward = _timed(lambda: extract_activations(agent, images, LAYERS))
    _, gradient = _timed(lambda: gradient_norms(run, frame, agent))
    _, own = _timed(
        lambda: [
            *(measure.layer_metrics(found[layer]) for layer in MLP_LAYERS),
            action_metrics(found["action"]),
        ]
    )
    return dict(zip(PARTS, (reading, forward, gradient, own), strict=True))


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


if __name__ == "__main__":
    main()
