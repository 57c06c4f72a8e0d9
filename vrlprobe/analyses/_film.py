"""Images of recorded episodes: film strips of several runs side by side, and whole episodes."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from vrlprobe._checks import as_list, check_given
from vrlprobe.envs.pixels import PixelEnv
from vrlprobe.errors import SampleError
from vrlprobe.results.dataset import run_attributes, shared
from vrlprobe.results.schemas.film import FILM
from vrlprobe.runs.collection import Runs, run_list
from vrlprobe.runs.episode import Episode
from vrlprobe.runs.settings import whole
from vrlprobe.samples.selection import resolve_frames, run_labels

if TYPE_CHECKING:
    from vrlprobe.runs.reader import Run

Images = npt.NDArray[np.uint8]
DEFAULT_COUNT = 10
DEFAULT_UNTIL = 300
"""Frames of an episode in a strip, as in the paper's Figures 6 and 7."""


@FILM.documented
def film(
    runs: Runs,
    *,
    frame: str | int = "last",
    episodes: int | Sequence[int] = (0,),
    count: int | None = DEFAULT_COUNT,
    until: int | None = DEFAULT_UNTIL,
    size: int | None = None,
) -> xr.Dataset:
    """Images of evaluation episodes, those of all runs at the same frames of an episode.

    Args:
        runs: one open run, or several of one task.
        frame: of the checkpoint whose rollout it is; "last" or "best" too.
        episodes: which of each rollout, from 0 on.
        count: images of an episode, evenly spaced; None takes every agent step.
        until: the last frame of an episode that is shown; None goes on to the end.
        size: render the episode anew from its physics at so many pixels; None takes the recorded
            images, and renders anew where there are none.

    Returns:
        The variables below, a row an episode: run by run, then episode by episode; a grey image has
        equal colours. The attribute `step_seconds` is what an agent step takes of the simulated
        time, NaN where no physics were recorded; `action_repeat` are its frames.

        {variables}

    Raises:
        SampleError: a run without this episode, or runs of other action repeats or image sizes.
        RenderError: images must be rendered, and there is no OpenGL library.
        ValueError: a count or size below 1, an end before the begin, or an episode that is
            no number.
    """
    check_given(1, count=count, size=size)
    check_given(0, until=until)
    wanted = as_list(episodes)
    if not all(isinstance(which, int | np.integer) for which in wanted):
        raise ValueError(f"episodes are whole numbers, from 0 on, not {episodes!r}")
    if not wanted:
        raise SampleError("no episode is asked for: at least one is needed")
    runs = run_list(runs)
    repeats = [whole(run, "action_repeat", 1) for run in runs]
    repeat: int = shared(repeats, runs, "action repeat", "one strip")
    shots = [
        (label, run, at, which, _episode(run, at, which))
        for label, run in zip(run_labels(runs), runs, strict=True)
        for at in resolve_frames(run, frame)
        for which in wanted
    ]
    longest = max(len(episode) for *_, episode in shots)
    last = longest if until is None else min(longest, until // repeat)
    steps = np.unique(np.linspace(0, last, (last + 1) if count is None else count).round())
    with Renderer() as render:
        strips = [
            _images(run, episode, steps.astype(int), size, render)
            for _, run, _, _, episode in shots
        ]
    shapes = [strip.shape[1:] for strip in strips]
    shared(
        shapes, [shot[1] for shot in shots], "image size", "one strip", hint="`size` renders anew"
    )
    found = xr.Dataset(
        {"image": (("row", "time", "y", "x", "colour"), np.stack(strips))},
        coords={
            "run": ("row", [shot[0] for shot in shots]),
            "checkpoint": ("row", [shot[2] for shot in shots]),
            "episode": ("row", [shot[3] for shot in shots]),
            "episode_return": ("row", [shot[4].episode_return for shot in shots]),
            "length": ("row", [repeat * len(shot[4]) for shot in shots]),
            "rendered": ("row", [bool(size) or shot[4].images is None for shot in shots]),
            "frame": ("time", repeat * steps.astype(np.int64)),
        },
        attrs={
            **run_attributes("film", runs, {"frame": frame, "episodes": wanted}),
            "step_seconds": _step_seconds(shots[0][4]),
            "action_repeat": repeat,
        },
    )
    return FILM.labelled(found)


def _step_seconds(episode: Episode) -> float:
    """Simulated time between the steps of an episode, the first number of its physics."""
    if episode.physics.shape[1] == 0 or len(episode) < 1:
        return float("nan")
    return float(np.median(np.diff(episode.physics[:, 0])))


def _episode(run: "Run", frame: int, which: int) -> Episode:
    rollout = run.rollout(frame)
    if not 0 <= which < len(rollout):
        raise SampleError(
            f"{run.path.name} has no episode {which} at frame {frame}: it recorded {len(rollout)}"
            f"{', from 0 on' if len(rollout) else ''}"
        )
    return rollout[which]


def _images(
    run: "Run",
    episode: Episode,
    steps: npt.NDArray[np.int64],
    size: int | None,
    render: "Renderer",
) -> Images:
    """Images (n_steps, y, x, 3), black after the episode's end."""
    inside = steps[steps <= len(episode)]
    if size is None and episode.images is not None:
        found = episode.images[inside]
    else:
        found = render(run, episode.physics[inside], size)
    blank = np.zeros((len(steps) - len(inside), *found.shape[1:]), np.uint8)
    return _in_colour(np.concatenate([found, blank]))


def _in_colour(images: Images) -> Images:
    """Images (n, channels, y, x) as (n, y, x, 3): any but three channels are grey, the last newest.

    Atari's images have one channel; whoever kept whole stacks as images has several.
    """
    if images.shape[1] != 3:
        images = np.repeat(images[:, -1:], 3, axis=1)
    return images.transpose(0, 2, 3, 1)


class Renderer(ExitStack):
    """Renders recorded physics; use in a `with`.

    Keeps an environment for each task, size and quality until the end: one takes seconds to make.
    """

    def __init__(self) -> None:
        super().__init__()
        self._envs: dict[tuple[str, int, str], PixelEnv] = {}

    def __call__(
        self, run: "Run", physics: npt.NDArray[np.float64], size: int | None = None
    ) -> Images:
        """Images (n, 3, size, size) of a run's physics states (n, physics_dim).

        A target that the task moves between episodes is not in the physics state: it stays where
        it is in the first.

        Raises:
            SampleError: the run recorded no physics, or that of another model.
            RenderError, UnknownTaskError: it cannot be rendered.
        """
        env = self._env(run, size or whole(run, "image_size", 84))
        needed = len(env.physics_state)
        if physics.shape[1] != needed:
            raise SampleError(
                f"{run.path.name} recorded no images of this episode, and {physics.shape[1]} "
                f"numbers of physics where {run.config.get('task')} has {needed}: it cannot be "
                "rendered"
            )
        return np.stack([env.render_state(state) for state in physics])

    def _env(self, run: "Run", pixels: int) -> PixelEnv:
        key = str(run.config.get("task")), pixels, str(run.config.get("render", "full"))
        if key not in self._envs:
            task, _, quality = key
            env = PixelEnv(task, image_size=pixels, render=quality)
            self._envs[key] = self.enter_context(env)
        return self._envs[key]
