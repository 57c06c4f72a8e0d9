"""Agents with known parts: intact, with one part broken, with the features in another order."""

from pathlib import Path

import numpy as np
import torch

from vrlprobe.analyses.shared.assembly import Transplant
from vrlprobe.runs.reader import open_run

HEAD = "actor/policy.4.weight"


def save(source: Path, path: Path, seed: int, change, samples) -> Path:
    """A run file with networks that act on the samples, changed: `change(parameters)` in place.

    The encoder is the source's with little noise, so that the encoders of one source share a basis;
    the actor's weights are drawn anew. The trunk's bias takes the features' mean off, without which
    blank networks' actions hardly vary.
    """
    rng = np.random.default_rng(seed)
    with open_run(source) as run:
        parameters = {}
        for name, array in run.parameters(2000).items():
            noise = rng.standard_normal(array.shape) * array.std()
            share = 0.02 if name.startswith("encoder/") else 1
            parameters[name] = (array + share * noise).astype(np.float32)
        agent = run.agent(2000)
        agent.load_named_tensors(parameters)
        if samples.images.shape[-1] == run.config["image_size"]:
            rows = np.arange(0, len(samples), 3)
            seen = torch.from_numpy(samples.observations(rows)[:, : agent.image_shape[0]])
            with torch.no_grad():
                mean = agent.encoder(agent.normalise(seen)).mean(dim=0).numpy()
            parameters["actor/trunk.0.bias"] = -parameters["actor/trunk.0.weight"] @ mean
        parameters[HEAD] *= 3
        change(parameters)
        Transplant(path.stem, dict(run.config), parameters, {}).save(path)
    return path


def intact(parameters) -> None:
    """Nothing is broken."""


def break_cnn(parameters) -> None:
    """An encoder that gives zeros whatever it sees."""
    for name in parameters:
        if name.startswith("encoder/"):
            parameters[name][:] = 0


def break_mlp(parameters) -> None:
    """An actor that gives one action whatever it is given."""
    parameters["actor/policy.2.weight"][:] = 0
    parameters["actor/policy.2.bias"][:] = 0.3


def reorder(parameters) -> None:
    """The same agent with the last convolution's channels in another order."""
    last, trunk = "encoder/convnet.6", "actor/trunk.0.weight"
    channels = len(parameters[f"{last}.bias"])
    order = np.roll(np.arange(channels), 1)
    for kind in ("weight", "bias"):
        parameters[f"{last}.{kind}"] = parameters[f"{last}.{kind}"][order].copy()
    columns = parameters[trunk].reshape(len(parameters[trunk]), channels, -1)
    parameters[trunk] = columns[:, order].reshape(parameters[trunk].shape).copy()


MODULES = {
    **{f"cnn{number + 1}": f"encoder/convnet.{2 * number}" for number in range(4)},
    "mlp0": "actor/trunk.1",
    "mlp1": "actor/policy.0",
    "mlp2": "actor/policy.2",
    "action": "actor/policy.4",
}
"""By layer, what gives it: of mlp0 the normalisation behind the linear map."""


def break_layer(name: str):
    """A change after which one layer gives the same whatever it is given."""

    def change(parameters) -> None:
        parameters[f"{MODULES[name]}.weight"][:] = 0
        parameters[f"{MODULES[name]}.bias"][:] = 0.3

    return change
