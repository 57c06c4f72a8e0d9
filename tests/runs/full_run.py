"""A run with every kind of dataset, its contents computed from (seed, checkpoint) alone.

As a program it writes one and reports every commit on its standard output once it has returned:
`full_run.py PATH --commits 5 --then-append 3`, or `--commits 0` to go on until it is killed.
"""

import argparse
import itertools
import sys

import numpy as np

from vrlprobe.runs.episode import Episode
from vrlprobe.runs.schema import parameters_digest
from vrlprobe.runs.writer import RunWriter

SIDE, EPISODES, STEPS, BATCH, ACTIONS = 12, 3, 110, 20, 2
COMPONENTS = ["height", "orientations[0]", "orientations[1]", "velocity[0]", "torso_velocity"]
SCALARS = ["episode_return", "action_spread", "fps", "critic_loss", "actor_loss", "noise_std"]
LAYERS = ["mlp0", "mlp1", "mlp2"]


def _linear(name, n_out, n_in):
    return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}


def _shapes():
    encoder = {"convnet.0.weight": (4, 9, 3, 3), "convnet.0.bias": (4,)}
    for i in (2, 4, 6):
        encoder |= {f"convnet.{i}.weight": (4, 4, 3, 3), f"convnet.{i}.bias": (4,)}
    trunk = {**_linear("trunk.0", 5, 36), "trunk.1.weight": (5,), "trunk.1.bias": (5,)}
    actor = {**trunk, **_linear("policy.0", 16, 5), **_linear("policy.2", 16, 16)}
    actor |= _linear("policy.4", ACTIONS, 16)
    critic = dict(trunk)
    for q in ("Q1", "Q2"):
        critic |= {**_linear(f"{q}.0", 16, 7), **_linear(f"{q}.2", 16, 16)}
        critic |= _linear(f"{q}.4", 1, 16)
    parts = {"encoder": encoder, "actor": actor, "critic": critic, "critic_target": critic}
    return {f"{part}/{name}": s for part, names in parts.items() for name, s in names.items()}


SHAPES = _shapes()


def create(path, **changes):
    """A writer of the full schema."""
    settings = {
        "config": {"task": "walker_walk", "seed": 3, "profile": "test", "architecture": "drqv2"},
        "parameters": {name: np.empty(shape, np.float32) for name, shape in SHAPES.items()},
        "components": COMPONENTS,
        "n_actions": ACTIONS,
        "physics_dim": 4,
        "image_shape": (3, SIDE, SIDE),
        "max_episodes": EPISODES,
        "max_steps": STEPS,
        "batch_size": BATCH,
        "log": {**dict.fromkeys(SCALARS, ()), "grad_norm": ("layer",), "dead": ("layer",)},
        "coords": {"layer": LAYERS},
        "aliases": {"torso_height": "height"},
        "stretch_bytes": 64,
        "provenance": {"renderer": "none", "precision": "float32"},
    }
    return RunWriter.create(path, **{**settings, **changes})


def frame(i):
    """The frame of checkpoint i."""
    return 1000 * i


def parameters(i):
    """All parameters of checkpoint i."""
    rng = np.random.default_rng([i, 0])
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}


def episodes(i):
    """The rollout of checkpoint i: 1 to 3 episodes, of different lengths, the first with images."""
    rng = np.random.default_rng([i, 1])
    return [_episode(rng, STEPS - 35 * e, images=e <= i % 2) for e in range(1 + i % EPISODES)]


def _episode(rng, steps, images):
    return Episode(
        images=rng.integers(0, 256, (steps + 1, 3, SIDE, SIDE), np.uint8) if images else None,
        actions=rng.uniform(-1, 1, (steps, ACTIONS)).astype(np.float32),
        rewards=rng.uniform(0, 1, steps).astype(np.float32),
        states=rng.standard_normal((steps + 1, len(COMPONENTS))),
        physics=rng.standard_normal((steps + 1, 4)),
    )


def log(i):
    """The log row of checkpoint i."""
    row = {name: i + 0.1 * n for n, name in enumerate(SCALARS)}
    return {**row, "grad_norm": np.arange(3) * i, "dead": np.full(3, np.nan)}


def batch(i):
    """The stored batch of checkpoint i; none at every fourth."""
    if i % 4 == 3:
        return None
    rng = np.random.default_rng([i, 2])
    observations = rng.integers(0, 256, (BATCH, 9, SIDE, SIDE), np.uint8)
    return observations, rng.standard_normal((BATCH, ACTIONS)).astype(np.float32)


def stretch(i):
    """What made checkpoint i: two machines in turns; every fifth checkpoint says nothing."""
    return {} if i % 5 == 4 else {"processor": f"model {i // 2 % 2}"}


def commit(writer, i):
    """Write checkpoint i."""
    writer.commit(frame(i), parameters(i), episodes(i), log(i), batch(i), stretch(i))


def check(run, i):
    """Assert that checkpoint i of an open run holds exactly what `commit` gave."""
    found = run.parameters(frame(i))
    assert list(found) == list(SHAPES)
    for name, array in parameters(i).items():
        np.testing.assert_array_equal(found[name], array)
    rollout = run.rollout(frame(i))
    assert len(rollout) == len(episodes(i))
    for stored, true in zip(rollout, episodes(i), strict=True):
        for name in ("images", "actions", "rewards", "states", "physics"):
            np.testing.assert_array_equal(getattr(stored, name), getattr(true, name))
    for stored, true in zip(run.batch(frame(i)) or [], batch(i) or [], strict=True):
        np.testing.assert_array_equal(stored, true)
    assert run.stretch(frame(i)) == stretch(i)
    check_log(run, i)


def check_log(run, i):
    """Assert that the log row of checkpoint i is as given."""
    row = run.log.sel(frame=frame(i))
    for name, value in log(i).items():
        np.testing.assert_array_equal(row[name], value)


def check_digest(run, i):
    """Assert that the stored digest of checkpoint i is that of its true parameters."""
    assert run.digest(frame(i)) == parameters_digest(parameters(i)).hex()


def main():
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--commits", type=int, default=0)
    parser.add_argument("--then-append", type=int, default=0)
    args = parser.parse_args()
    with create(args.path) as writer:
        for i in range(args.commits) if args.commits else itertools.count():
            commit(writer, i)
            _report(f"committed {i}")
    _report("closed")
    with RunWriter.append(args.path) as writer:
        for i in range(args.commits, args.commits + args.then_append):
            commit(writer, i)
            _report(f"committed {i}")
    _report("closed")


def _report(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
