"""Small synthetic runs: a bright bar whose place and height are the state, and blank networks."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.system_packages import is_missing, reason

if is_missing("egl"):  # the suite's tasks can be listed and simulated nevertheless
    os.environ["MUJOCO_GL"] = "disable"

import vrlprobe.envs.renderer  # noqa: F401  before a test's own dm_control, see there
from vrlprobe.agents.drqv2 import DrQV2Agent
from vrlprobe.runs.episode import Episode
from vrlprobe.runs.writer import RunWriter

torch.set_num_threads(1)  # a second thread on a busy machine makes small operations far slower

COMPONENTS = ["height", "orientations[0]", "orientations[1]", "velocity[0]", "still"]
CONFIG = {
    "task": "walker_walk",
    "profile": "test",
    "architecture": "drqv2",
    "image_size": 20,
    "channels": 4,
    "feature_dim": 10,
    "hidden_dim": 16,
    "action_dim": 2,
    "frame_stack": 3,
    "good_return": 20.0,
    "bad_return": 5.0,
    "render": "full",
    "precision": "float32",
}


def synthetic_episode(
    rng: np.random.Generator, steps: int = 40, size: int = 20, reward: float = 1.0, **kinds: Any
) -> Episode:
    """A bar that rises and falls and moves sideways; its speed shows in consecutive images only."""
    time = np.arange(steps + 1)
    phase, period = rng.uniform(0, 6), rng.uniform(7, 12)
    height = 0.5 + 0.4 * np.sin(time / period * 6.28 + phase)
    place = 0.5 + 0.4 * np.sin(time / 9 + rng.uniform(0, 6))
    speed = np.gradient(height)
    states = np.column_stack([height, np.cos(place), np.sin(place), speed, np.full(len(time), 1.3)])
    images = rng.integers(0, 8, (steps + 1, 3, size, size), dtype=np.uint8)
    for t in time:
        left, top = int(place[t] * (size - 4)), round(height[t] * size)
        images[t, :, :top, left : left + 4] += 200
    return Episode(
        images=images if kinds.get("with_images", True) else None,
        actions=np.tanh(rng.standard_normal((steps, 2))).astype(np.float32),
        rewards=np.full(steps, reward, np.float32),
        states=states,
        physics=states[:, :3].copy(),
    )


def write_run(
    path: Path,
    *,
    seed: int = 0,
    frames: tuple[int, ...] = (0, 1000, 2000),
    episodes: int = 4,
    reward: float = 1.0,
    images: bool = True,
    config: dict[str, Any] | None = None,
    log: dict[str, list[Any]] | None = None,
) -> Path:
    """A sealed run with as many blank networks as frames, all episodes with images at the last.

    `log` has further columns, a value a frame: numbers, three numbers for mlp0 to mlp2, or two for
    each of these.
    """
    columns = {"episode_return": [40 * reward] * len(frames), **(log or {})}
    settings = {**CONFIG, "seed": seed, **(config or {})}
    rng = np.random.default_rng(seed)
    size = int(settings["image_size"])
    dims = {
        name: ("layer", "head")[: np.ndim(column[0] if column else 0)]
        for name, column in columns.items()
    }
    coords = {"layer": ["mlp0", "mlp1", "mlp2"], "head": ["head0", "head1"]}
    used = {"layer", *(dim for names in dims.values() for dim in names)}
    with RunWriter.create(
        path,
        config=settings,
        parameters=_blank(settings, seed),
        components=COMPONENTS,
        n_actions=2,
        physics_dim=3,
        image_shape=(3, size, size),
        max_episodes=episodes,
        max_steps=40,
        log=dims,
        coords={dim: labels for dim, labels in coords.items() if dim in used},
        aliases={"torso_height": "height"},
    ) as writer:
        for place, frame in enumerate(frames):
            last = frame == frames[-1]
            recorded = [
                synthetic_episode(
                    rng, size=size, reward=reward, with_images=images and (last or which == 0)
                )
                for which in range(episodes)
            ]
            parameters = _blank(settings, 100 * seed + place)
            row = {name: column[place] for name, column in columns.items()}
            writer.commit(frame, parameters, recorded, row)
    return path


def _blank(settings: dict[str, Any], seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return DrQV2Agent.from_config(settings).named_tensors()


def pytest_configure():
    """Have Ctrl-C reach the programs that the tests start: a job in the background ignores it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    """How long the crash tests of the run file take."""
    parser.addoption("--kills", type=int, default=5, help="times to kill a writer")
    parser.addoption("--flips", type=int, default=15, help="bits to flip in a run file")
    parser.addoption("--cut-points", choices=["some", "all"], default="some", help="of a writer")
    parser.addoption(
        "--full", action="store_true", help="test the promises of docs/reliability.md in full"
    )


def pytest_terminal_summary(terminalreporter):
    """The figures of the promises, as docs/reliability.md has them."""
    passed = terminalreporter.stats.get("passed", [])
    figures = [text for test in passed for name, text in test.user_properties if name == "figure"]
    if figures and terminalreporter.config.getoption("markexpr") == "reliability":
        terminalreporter.section("reliability")
        terminalreporter.write_line("\n".join(figures))


@pytest.fixture
def cases(request):
    """`cases(few, all)`: how many cases of a promise to try, all of them with --full."""
    return lambda few, every: every if request.config.getoption("--full") else few


@pytest.fixture
def figure(record_property):
    """`figure("90 files, ...")` states what a test of a promise found."""
    return lambda text: record_property("figure", text)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Skip a test whose library or program is not installed, and say which."""
    for mark in item.iter_markers("needs"):
        for need in filter(is_missing, mark.args):
            pytest.skip(reason(need))


@pytest.fixture
def kills(request):
    """How many times the kill test kills a writer."""
    return request.config.getoption("--kills")


@pytest.fixture
def flips(request):
    """How many bits the damage tests flip, one at a time."""
    return request.config.getoption("--flips")


@pytest.fixture
def cut_points(request):
    """`some` or `all`: after which system calls of a writer its file is opened."""
    return request.config.getoption("--cut-points")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """What a test's commands keep in the user's cache stays in a folder of its own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Synthetic runs of this session by what was asked of them: writing one takes half a second."""
    return tmp_path_factory.mktemp("written"), {}


@pytest.fixture
def make_run(tmp_path, written):
    """`make_run("seed3.h5", seed=3, ...)` puts a synthetic run into the test's folder."""
    folder, known = written

    def make(name: str, **kinds: Any) -> Path:
        key = repr(sorted(kinds.items()))
        if key not in known:
            known[key] = write_run(folder / f"{len(known)}.h5", **kinds)
        return Path(shutil.copy(known[key], tmp_path / name))

    return make
