"""`python -m benchmarks.train`: this trainer beside the reference, or beside itself."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from benchmarks.contestants import LOADER_WORKERS
from benchmarks.data import episodes
from benchmarks.worker import TUNED, Spec, Spent, Worker
from vrltrain.config.profiles import PROFILES
from vrltrain.config.settings import TrainConfig

GET = "git clone https://github.com/facebookresearch/drqv2"
WARM = {"update": 6, "step": 10, "act": 10, "loop": 2}
"""Calls that are not counted: the first updates take their memory from the kernel."""
Blocks = dict[str, dict[str, list[Spent]]]
Times = dict[str, np.ndarray]
REPEAT = 2
"""Frames of an agent step, and agent steps of an update, in the published settings."""

HEADINGS = {
    "update": "update, ms",
    "step": "environment step, ms",
    "act": "action, ms",
    "composed": "frames/s composed",
    "loop": "frames/s in a loop",
}


@click.command()
@click.option(
    "--reference", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help=f"A checkout of the reference: {GET}",
)  # fmt: skip
@click.option("--side-by-side", is_flag=True, help="Some runs at once, and one on all the cores.")
@click.option("--runs", default=2, type=click.IntRange(2), show_default=True,
              help="How many at once, for --side-by-side.")  # fmt: skip
@click.option("--profile", type=click.Choice(list(PROFILES)), default="paper", show_default=True,
              help="Settings for --side-by-side; the reference has the paper's.")  # fmt: skip
@click.option("--task", default="walker_walk", show_default=True)
@click.option("--rounds", default=5, type=click.IntRange(1), show_default=True,
              help="Blocks of each contestant, in turn.")  # fmt: skip
@click.option("--updates", default=4, type=click.IntRange(1), show_default=True,
              help="Updates in a block.")  # fmt: skip
@click.option("--steps", default=100, type=click.IntRange(1), show_default=True,
              help="Agent steps, and actions, in one.")  # fmt: skip
@click.option("--loop-frames", default=2000, type=click.IntRange(0), show_default=True,
              help="Frames of whole training for each contestant, over all rounds.")  # fmt: skip
@click.option("--threads", default=1, show_default=True, help="Cores and threads of a contestant.")
@click.option("--device", default="cpu", show_default=True,
              help="Where networks are kept and updated: cpu, cuda …")  # fmt: skip
@click.option("--cpu", is_flag=True, help="Processor seconds: for a machine that is busy.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("build/benchmarks"))
def main(
    reference: Path | None, side_by_side: bool, runs: int, profile: str, task: str, rounds: int,
    updates: int, steps: int, loop_frames: int, threads: int, device: str, cpu: bool, output: Path,
) -> None:  # fmt: skip
    """Updates, environment and whole training of this trainer and the reference, in turns.

    Each contestant, with every process it starts, is kept to as many cores as it has threads.
    """
    output.mkdir(parents=True, exist_ok=True)
    counts = {"update": updates, "step": steps, "act": steps, "loop": loop_frames // 2 // rounds}
    if side_by_side:
        config = replace(PROFILES[profile](task), device=device)
        click.echo(beside_itself(config, runs, rounds, max(counts["loop"], 2), output))
    elif reference:
        if not (reference / "drqv2.py").is_file():
            raise click.UsageError(f"{reference} has no drqv2.py; to get the reference: {GET}")
        counts = {what: count for what, count in counts.items() if count}
        config = replace(PROFILES["paper"](task), threads=threads, device=device)
        blocks = beside_reference(config, reference.resolve(), rounds, counts, output)
        click.echo(table(blocks, counts, cpu))
    else:
        raise click.UsageError(f"--reference DIR or --side-by-side; to get it: {GET}")


def beside_reference(
    config: TrainConfig, reference: Path, rounds: int, counts: Mapping[str, int], output: Path
) -> Blocks:
    """Every contestant's blocks by what was done in them, the contestants taking turns."""
    cores = sorted(os.sched_getaffinity(0))[: config.threads]
    blocks: Blocks = {}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(dir=output)))
        contestants = {
            "float32": (replace(config, precision="float32"), None),
            "bfloat16": (replace(config, precision="bfloat16"), None),
            "reference": (config, reference),
            "tuned reference": (config, reference),
        }
        if config.device != "cpu":
            plain = replace(config, precision="bfloat16", cuda_graph=False)
            contestants["bfloat16, no graph"] = (plain, None)
        workers = {
            name: stack.enter_context(_worker(scratch, name, settings, cores, checkout))
            for name, (settings, checkout) in contestants.items()
        }
        for what, count in counts.items():
            for worker in workers.values():
                worker.spend(what, WARM[what])
            for index in range(rounds):
                click.echo(f"{what}, round {index + 1} of {rounds}", err=True)
                for name, worker in workers.items():
                    spent = worker.spend(what, count)
                    blocks.setdefault(name, {}).setdefault(what, []).append(spent)
    stored = {n: {w: [asdict(s) for s in b] for w, b in of.items()} for n, of in blocks.items()}
    found = {"config": config.stored(), "counts": dict(counts), "blocks": stored}
    (output / "train.json").write_text(json.dumps(found, indent=1))
    return blocks


def _worker(
    scratch: Path, name: str, config: TrainConfig, cores: Sequence[int], reference: Path | None
) -> Worker:
    recorded = scratch.parent / f"episodes-{config.task}-{config.image_size}.npz"
    if not recorded.exists():
        found = episodes(LOADER_WORKERS, config.task, config.image_size)
        columns = ("images", "actions", "rewards", "states", "physics")
        part = recorded.with_suffix(".part.npz")
        np.savez(part, **{k: np.stack([getattr(e, k) for e in found]) for k in columns})
        part.replace(recorded)
    spec = Spec(
        asdict(config), str(recorded), str(scratch / name), cores, reference and str(reference)
    )
    return Worker(spec, TUNED if name.startswith("tuned") else {})


def _seconds(spent: Sequence[Spent], count: int, cpu: bool) -> np.ndarray:
    """Seconds of one call, by round."""
    return np.array([(block.cpu if cpu else block.wall) / count for block in spent])


def times(of: Mapping[str, Sequence[Spent]], counts: Mapping[str, int], cpu: bool) -> Times:
    """By measure and round: seconds of what was called, and of a frame composed and in a loop."""
    found = {what: _seconds(of[what], count, cpu) for what, count in counts.items()}
    frames = {"loop": found.pop("loop") / REPEAT} if "loop" in found else {}
    composed = (found["step"] + found["act"] + found["update"] / REPEAT) / REPEAT
    return {**found, "composed": composed, **frames}


def table(blocks: Blocks, counts: Mapping[str, int], cpu: bool) -> str:
    """Medians of each contestant, and ratios to the reference in the same round, in Markdown."""
    found = {name: times(of, counts, cpu) for name, of in blocks.items()}
    measures = list(found["reference"])
    rivals = [name for name in found if name.endswith("reference")]
    lines = [["", *(HEADINGS[m] for m in measures)]]
    lines += [[name, *(_shown(m, of[m]) for m in measures)] for name, of in found.items()]
    for name in (name for name in found if name not in rivals):
        for rival in rivals:
            ratios = [np.median(found[rival][m] / found[name][m]) for m in measures]
            lines.append([f"{name}: times the {rival}", *(f"{ratio:.2f}" for ratio in ratios)])
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(measure: str, seconds: np.ndarray) -> str:
    middle = float(np.median(seconds))
    return f"{1 / middle:.3g}" if measure in ("composed", "loop") else f"{1000 * middle:.4g}"


def beside_itself(config: TrainConfig, runs: int, rounds: int, count: int, output: Path) -> str:
    """One run on one core, several at once on one each, and one on all cores, in turn."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < runs:
        raise click.UsageError(
            f"--side-by-side needs {runs} processor cores, this process has {len(cores)}"
        )
    rates: dict[str, list[float]] = {"alone": [], "beside others": [], "on all cores": []}
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(dir=output)))
        places = [*([core] for core in cores[:runs]), cores]
        *narrow, wide = (
            stack.enter_context(
                _worker(scratch, str(index), replace(config, threads=len(where)), where, None)
            )
            for index, where in enumerate(places)
        )
        for worker in (*narrow, wide):
            worker.spend("update", WARM["update"])
        for index in range(rounds):
            click.echo(f"round {index + 1} of {rounds}", err=True)
            frames = count * config.action_repeat
            rates["alone"].append(frames / narrow[0].spend("loop", count).wall)
            for worker in narrow:
                worker.begin("loop", count)
            seconds = [worker.end().wall for worker in narrow]
            rates["beside others"].append(frames / float(np.mean(seconds)))
            rates["on all cores"].append(frames / wide.spend("loop", count).wall)
    middle = {name: float(np.median(found)) for name, found in rates.items()}
    slower = float(np.median(np.divide(rates["alone"], rates["beside others"]))) - 1
    lines = {
        "one run on one core": middle["alone"],
        f"each of {runs} runs, a core each": middle["beside others"],
        "all of them together": runs * middle["beside others"],
        f"one run on {len(cores)} cores": middle["on all cores"],
    }
    width = max(map(len, lines))
    return "\n".join(
        (
            f"frames/s of {config.task}, {config.profile}, on {config.device}",
            *(f"{text:{width}}  {rate:.1f}" for text, rate in lines.items()),
            f"a frame takes {slower:.0%} longer beside the others",
        )
    )


if __name__ == "__main__":
    main()
