"""`python -m benchmarks.run`: `vrlprobe probe --frames all` on a run of paper size, timed.

Its checkpoints are one real network with small changes from one to the next: for timing alone.
"""

import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.data import SIZES, TASK, episodes, observations, trained_agent
from benchmarks.processes import family
from vrlprobe.envs.pixels import PixelEnv
from vrlprobe.runs.writer import RunWriter

BATCH = 256
"""Observations of the stored batch, as `vrltrain` keeps them."""


@click.command()
@click.option("--checkpoints", default=110, show_default=True)
@click.option("--jobs", default=2, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("build/benchmarks"))
def main(checkpoints: int, jobs: int, output: Path) -> None:
    """Write the run if it is not there, then probe it with an empty cache and again."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / f"run-{checkpoints}.h5"
    if not path.is_file():
        write_run(path, checkpoints, output)
    command = [Path(sys.executable).with_name("vrlprobe"), "probe", path, "--frames", "all"]
    cache = output / f"cache-{time.time_ns()}"
    for which in ("first", "second"):
        start = time.monotonic()
        process = subprocess.Popen([*command, "--jobs", str(jobs), "--cache", cache])
        peak = _watched(process)
        click.echo(f"{which}: {time.monotonic() - start:.0f} s, peak {peak / 1e9:.2f} GB", err=True)
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
    click.echo(f"CPU seconds of both: {cpu.ru_utime + cpu.ru_stime:.0f}", err=True)


def write_run(path: Path, checkpoints: int, folder: Path, critics: bool = False) -> None:
    """A run with six episodes at its end to probe on.

    Its checkpoints are encoders and actors; with `critics` they have these, too, and the batch that
    gradient norms are computed on.
    """
    images, states = observations(folder, 6000)
    agent = trained_agent(images, states)
    rng = torch.Generator().manual_seed(0)
    tensors = agent.named_tensors()
    if not critics:
        tensors = {n: t for n, t in tensors.items() if not n.startswith("critic")}
    env = PixelEnv(TASK, render="fast")
    final = episodes(6)
    config = {**SIZES, "task": TASK, "architecture": "drqv2", "action_dim": env.n_actions}
    with RunWriter.create(
        path,
        config={**config, "frame_stack": 3, "seed": 0},
        parameters=tensors,
        components=list(env.components),
        n_actions=env.n_actions,
        physics_dim=final[0].physics.shape[1],
        image_shape=(3, SIZES["image_size"], SIZES["image_size"]),
        max_episodes=len(final),
        max_steps=len(final[0]),
        batch_size=BATCH if critics else 0,
        log={},
        aliases=env.aliases,
    ) as writer:
        batch = (images[:BATCH], np.zeros((BATCH, env.n_actions), np.float32)) if critics else None
        for place in range(checkpoints):
            recorded = final if place == checkpoints - 1 else []
            writer.commit(10_000 * place, tensors, recorded, {}, batch)
            for tensor in tensors.values():
                size = 0.02 * float(tensor.std()) if tensor.numel() > 1 else 0.0
                tensor += size * torch.randn(tensor.shape, generator=rng)


def _watched(process: subprocess.Popen[bytes]) -> int:
    """The most memory, in bytes, that a process and its children held together, until it ends."""
    most = [0]

    def look() -> None:
        while process.poll() is None:
            most[0] = max(most[0], sum(map(_memory, family(process.pid))))
            time.sleep(0.25)

    watcher = threading.Thread(target=look)
    watcher.start()
    process.wait()
    watcher.join()
    return most[0]


def _memory(pid: int) -> int:
    """A process's share of memory: pages that several hold count in parts."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return 1024 * int(np.sum([int(s.split()[1]) for s in text.splitlines() if s[:4] == "Pss:"]))


if __name__ == "__main__":
    main()
