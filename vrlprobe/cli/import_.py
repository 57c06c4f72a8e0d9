"""`vrlprobe import`: checkpoints of other programs as a run."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from vrlprobe import analyses
from vrlprobe._text import aligned
from vrlprobe.analyses.shared.defaults import EPISODES
from vrlprobe.checkpoints.choices import ACTIVATIONS, ARCHITECTURES
from vrlprobe.cli.common import (
    FILE,
    Session,
    check_writable,
    parse_frames,
    progress,
    told_how_to_go_on,
)

if TYPE_CHECKING:
    from vrlprobe.analyses._import import Imported


@click.command("import")
@click.argument("snapshots", nargs=-1, required=True, type=FILE, metavar="SNAPSHOT...")
@click.option(
    "--task", required=True, help="Domain and task it was trained on; any name with --observations."
)
@click.option("-o", "--output", required=True, type=FILE, help="The run file to write.")
@click.option(
    "--frame", "frames", metavar="N,…",
    help="Environment frames of each snapshot, action repeat included.  [default: as recorded]",
)  # fmt: skip
@click.option(
    "--episodes", type=click.IntRange(min=0), default=EPISODES, show_default=True,
    help="Episodes to play with each snapshot's mean action and record for probing; may be 0.",
)  # fmt: skip
@click.option(
    "--observations", type=FILE, metavar="NPZ",
    help="Episodes to use instead of playing the task, see above.",
)  # fmt: skip
@click.option(
    "--architecture", type=click.Choice(ARCHITECTURES),
    help="Architecture of a plain state dict whose names do not reveal it.",
)  # fmt: skip
@click.option(
    "--action-repeat", type=click.IntRange(min=1),
    help="Environment frames an action lasts.  [default: 2 for DrQ-v2, 1 elsewhere]",
)  # fmt: skip
@click.option(
    "--image-size", type=click.IntRange(min=1),
    help="Height and width of its images.  [default: the even size that its shapes allow]",
)  # fmt: skip
@click.option(
    "--activation", type=click.Choice(ACTIVATIONS),
    help="Activation between the layers of a plain state dict that does not name one.  [default: "
    "relu, or tanh for PPO and A2C]",
)  # fmt: skip
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Random seed of the episodes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the checkpoints as a JSON list.")
def import_(
    snapshots: tuple[Path, ...],
    task: str,
    output: Path,
    frames: str | None,
    episodes: int,
    observations: Path | None,
    architecture: str | None,
    action_repeat: int | None,
    image_size: int | None,
    activation: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Make a run from SNAPSHOTs saved by other programs, one or several of the same training.

    SNAPSHOTs are the pickled agents of DrQ-v2 and its descendants (snapshot.pt), zip files of
    Stable-Baselines3 with CnnPolicy, CleanRL's models and plain state dicts (.pt, .safetensors).
    No code in a file is run: a pickle is read as a description, and one that names anything
    but the parts of such an agent is refused. docs/import.md lists what is read.

    The agent plays its task as in an evaluation of DrQ-v2. For a task outside the Control Suite,
    --observations takes an npz file with `images` (n, channels, height, width) uint8 in order of
    time, `lengths` (images in each episode) or `episode` (a number for each image), an array
    (n,) or (n, k) for each component of the state, and optionally `rewards` (n,) and
    `actions` (n, a).

    \b
    vrlprobe import snapshot.pt --task walker_walk -o runs/mine.h5
    vrlprobe import early.pt late.pt --frame 100000,1000000 --task walker_walk -o runs/mine.h5
    vrlprobe import snapshot.pt --task maze --observations obs.npz -o runs/maze.h5
    """
    check_writable(output, "a run")
    with Session(), told_how_to_go_on(kept=bool(episodes) and observations is None):
        done = analyses.import_checkpoints(
            snapshots,
            output,
            task=task,
            frames=_frames(frames),
            episodes=episodes,
            observations=observations,
            architecture=architecture,
            action_repeat=action_repeat,
            image_size=image_size,
            activation=activation,
            seed=seed,
            track=partial(progress, what="playing"),
        )
    click.echo(json.dumps([_plain(one) for one in done]) if as_json else _table(done))
    click.echo(f"wrote {output}", err=True)


def _frames(text: str | None) -> list[int] | None:
    if text is None:
        return None
    found = parse_frames(text)
    if isinstance(found, str) or min(found) < 0:
        raise click.BadParameter(f"needed numbers of frames, found {text}", param_hint="--frame")
    return found


def _plain(one: "Imported") -> dict[str, object]:
    known = np.isfinite(one.episode_return)
    return asdict(one) | {
        "path": str(one.path),
        "episode_return": float(one.episode_return) if known else None,
    }


def _table(done: "list[Imported]") -> str:
    return aligned(
        [
            {
                "file": one.path.name,
                "kind": one.kind,
                "frame": f"{one.frame:,}",
                "episodes": str(one.episodes),
                "return": f"{one.episode_return:.0f}" if np.isfinite(one.episode_return) else "-",
            }
            for one in done
        ]
    )
