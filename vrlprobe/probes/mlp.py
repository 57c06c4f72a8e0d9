"""A small network as probe: what is in the activations, but not linearly.

The paper names linearity as the assumption of its probes (section 4.2); this one does without.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vrlprobe._checks import check_at_least
from vrlprobe.device import drawn_from, own_defaults
from vrlprobe.probes.arrays import ArrayLike, numbers, training_and_heldout
from vrlprobe.probes.principal import Principal

Floats = npt.NDArray[np.float64]

HIDDEN, EPOCHS, PATIENCE = 256, 300, 30
BATCH, LEARNING_RATE, WEIGHT_DECAY = 128, 1e-3, 1e-2


@dataclass(frozen=True, eq=False)
class MlpFit:
    """One network for all targets, at the epoch with the least validation error."""

    mse: Mapping[str, Floats]
    """Mean squared error by set, ``"train"`` and each held-out one: (n_targets,)."""
    n_epochs: int
    """Passes over the training rows until the epoch that was kept."""
    at_edge: bool
    """It was still improving when the epochs ran out."""
    principal: Principal
    network: nn.Module
    scale: float
    target_mean: Tensor
    target_scale: Tensor

    def predict(self, X: ArrayLike) -> Floats:
        """Predictions (n_samples, n_targets) for X (n_samples, n_features)."""
        inputs = self.principal(numbers(X).to(self.principal.mean.device)) / self.scale
        with torch.no_grad():
            out = self.network(inputs)
        fitted: Floats = (out * self.target_scale + self.target_mean).cpu().numpy()
        return fitted


def mlp_fit(
    X: ArrayLike,
    Y: ArrayLike,
    *,
    heldout: Mapping[str, tuple[ArrayLike, ArrayLike]],
    hidden: int = HIDDEN,
    epochs: int = EPOCHS,
    patience: int = PATIENCE,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> MlpFit:
    """Fit all targets by a network with one hidden layer, stopped by the first held-out set.

    Parameters
    ----------
    X, Y, heldout, device
        As for `omp_path`; at least one held-out set.
    hidden : int, optional
        Width of the layer of rectified units.
    epochs : int, optional
        Passes over the training rows, at most.
    patience : int, optional
        Stop after so many without a lower error, of targets of unit variance, averaged.
    seed : int, default: 0
        Of the weights and of the order of the rows.

    Raises
    ------
    ValueError
        Shapes that do not fit, no samples, no held-out set, options out of range, NaN or infinite
        values, and a first held-out set so far from the training rows that the error on it is not
        finite.
    DeviceError
        Where torch cannot compute on the device.

    Notes
    -----
    The network reads principal coordinates of the training rows, a rotation to as few inputs as
    there are rows. One scale for all is part of what is looked for: what is in an axis that
    deviates a thousandth of the others is there, but learnt too slowly to be found; `ridge_path`
    finds it where it is linear. Trained by AdamW.
    """
    if not heldout:
        raise ValueError("a held-out set is needed, whose error says when to stop")
    check_at_least(1, hidden=hidden, epochs=epochs, patience=patience)
    sets = training_and_heldout(X, Y, heldout, device)
    data, targets = sets["train"]
    principal = Principal.of(data)
    mean, std = targets.mean(dim=0), targets.std(dim=0, correction=0)
    std = torch.where(std <= 1e-12 * targets.abs().amax(dim=0), 1.0, std)
    scale = math.sqrt(principal.mean_variance / len(data))
    seen = {n: principal.training if n == "train" else principal(x) for n, (x, _) in sets.items()}
    inputs = {name: (coordinates / scale).float() for name, coordinates in seen.items()}
    wanted = {name: ((y - mean) / std).float() for name, (_, y) in sets.items()}
    with drawn_from(seed), own_defaults():
        network = _network(inputs["train"].shape[1], hidden, len(std)).to(data.device)
        watched = next(iter(heldout))
        kept = _train(network, inputs, wanted, watched, epochs, patience)
    network.double()  # predictions then don't depend on the rows beside them
    mse = {}
    with torch.no_grad():
        for name in sets:
            errors = (network(inputs[name].double()) - wanted[name]) * std
            mse[name] = (errors**2).mean(dim=0).cpu().numpy()
    return MlpFit(mse, kept, kept + patience > epochs, principal, network, scale, mean, std)


def _network(n_inputs: int, hidden: int, n_targets: int) -> nn.Module:
    """One hidden layer of rectified units; where X is constant there are no inputs."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Initializing zero-element tensors")
        return nn.Sequential(nn.Linear(n_inputs, hidden), nn.ReLU(), nn.Linear(hidden, n_targets))


def _train(
    network: nn.Module,
    inputs: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    watched: str,
    epochs: int,
    patience: int,
) -> int:
    """Train in place and go back to the best epoch, whose number is returned; 0 is the start.

    Raises
    ------
    ValueError
        Where the error on the watched set is finite at no epoch.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    least, kept = torch.inf, 0
    best: dict[str, Tensor] = {}
    for epoch in range(epochs + 1):
        with torch.no_grad():
            error = float(((network(inputs[watched]) - wanted[watched]) ** 2).mean())
        if error < least:
            least, kept = error, epoch
            best = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        if epoch in (epochs, kept + patience):
            break
        for rows in torch.split(torch.randperm(len(inputs["train"])), BATCH):
            loss = ((network(inputs["train"][rows]) - wanted["train"][rows]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    if not best:
        raise ValueError(
            f"the error on held-out set {watched!r} is never finite: its values are too far from "
            "the training set's, in X or in Y"
        )
    network.load_state_dict(best)
    return kept
