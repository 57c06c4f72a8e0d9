"""Evaluation episodes played in other processes, against the same ones played in this one."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vrltrain.tiny import TINY, same_runs
from vrlprobe.agents.drqv2 import DrQV2Agent
from vrlprobe.envs.pixels import PixelEnv
from vrlprobe.envs.record import record_episode
from vrlprobe.errors import VrlprobeError
from vrlprobe.runs.episode import Episode
from vrltrain import players
from vrltrain.drqv2 import lay_out
from vrltrain.players import Players, make_players
from vrltrain.run import begin
from vrltrain.train import quiet

pytestmark = pytest.mark.needs("egl")


def make_agent(env: PixelEnv) -> DrQV2Agent:
    torch.manual_seed(5)
    agent = DrQV2Agent.from_config({**TINY.stored(), "action_dim": env.n_actions}).eval()
    lay_out(agent)
    return agent


def same(one: Episode, two: Episode) -> None:
    for name in ("images", "actions", "rewards", "states", "physics"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)


@pytest.mark.parametrize("task", ["reacher_easy", "finger_turn_hard"])
def test_episodes_are_those_of_one_process(task: str) -> None:
    """Also of tasks that draw their target with the start, and at a second evaluation."""
    config = replace(TINY, task=task, action_repeat=40)
    with (
        PixelEnv(**config.env_settings, seed=3) as alone,
        PixelEnv(**config.env_settings, seed=3) as shared,
        closing(Players(config, 2)) as pool,
    ):
        agent = make_agent(alone)
        for count in (3, 2):
            expected = [
                record_episode(alone, agent.act, keep_images=index < 1) for index in range(count)
            ]
            found = pool.play(shared, agent, count, images=1)
            for one, two in zip(expected, found, strict=True):
                same(one, two)
            with torch.no_grad():
                agent.actor.policy[4].bias += 0.1


def test_a_run_does_not_depend_on_them(tmp_path: Path) -> None:
    config = replace(TINY, total_frames=2001, eval_episodes=3)
    begin(config, tmp_path / "one.h5", quiet, quiet)
    begin(replace(config, eval_processes=2), tmp_path / "two.h5", quiet, quiet)
    same_runs(tmp_path / "one.h5", tmp_path / "two.h5")


def test_what_goes_wrong_is_one_line_and_leaves_no_process() -> None:
    with PixelEnv(**TINY.env_settings) as env, closing(Players(TINY, 1)) as pool:
        agent = make_agent(env)
        pool.play(env, agent, 1, images=0)
        (process,) = pool._players.values()
        process.kill()
        process.wait()
        with pytest.raises(VrlprobeError, match=r"was killed, .* goes on"):
            pool.play(env, agent, 1, images=0)
        assert not pool._players
        with torch.no_grad():
            agent.actor.policy[4].bias += np.nan
        with pytest.raises(VrlprobeError, match="its training diverged"):
            pool.play(env, agent, 1, images=0)  # by another process
        assert not pool._players


TRAINING = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.vrltrain.tiny import TINY
from vrlprobe._interrupts import interruptible
from vrltrain.run import begin

def progress(training):
    if training.checkpoints == 1:
        print(*(process.pid for process in training.players._players.values()), flush=True)

config = replace(TINY, total_frames=10**6, replay_capacity=10**4, eval_processes=1)
with interruptible():  # as the commands do: a destructor does not swallow Ctrl-C for good
    begin(config, Path(sys.argv[1]), progress, lambda _: None)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_they_end_with_their_training(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", TRAINING, str(tmp_path / "run.h5")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout is not None
        pids = [int(pid) for pid in training.stdout.readline().split()]
        assert len(pids) == 1
        assert all(map(is_running, pids))
        training.send_signal(number)
        training.wait()
    deadline = time.monotonic() + 30
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_running, pids))


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.parametrize(
    ("device", "asked", "cores", "expected"),
    [
        ("cpu", 0, 16, None),
        ("cpu", 3, 2, 3),
        ("cpu", 30, 16, 10),
        ("cuda", 0, 16, 4),
        ("cuda", 0, 2, 2),
        ("cuda:1", 8, 2, 8),
    ],
)
def test_how_many_there_are(
    monkeypatch, device: str, asked: int, cores: int, expected: int | None
) -> None:
    monkeypatch.setattr(players, "cpu_count", lambda: cores)
    found = make_players(
        replace(TINY, device=device, eval_processes=asked, eval_episodes=10, final_episodes=5)
    )
    assert (found and found.count) == expected
