"""Pages of small runs, as `vrlprobe report` makes them."""

import numpy as np
import xarray as xr

from vrlprobe.analyses import cohort, collapse
from vrlprobe.analyses._film import film
from vrlprobe.report.content import Strip, page_content
from vrlprobe.report.page import render
from vrlprobe.runs.reader import open_run

STUCK = {
    "updates": [0, 100, 200, 300, 400],
    "attempt": [1, 1, 1, 1, 1],
    "action_spread": [np.nan, 1e-4, 1e-5, 1e-6, 1e-6],
    "grad_norm": [[np.nan] * 3, *([[1e-3, 1e-6, 1e-7]] * 4)],
}
ESCAPED = STUCK | {"action_spread": [np.nan, 1e-4, 1e-4, 0.5, 0.6]}
FRAMES = (0, 1000, 2000, 3000, 4000)
WINDOW = {"rule_window": 3000}


def probed(run, frames=FRAMES, components=("height", "still"), layers=("cnn0", "cnn4", "mlp1")):
    """A run's part of a probe result: R² grows with the frame in cnn4 alone."""
    shape = (len(frames), len(layers), len(components))
    r2 = np.full(shape, 0.25)
    r2[:, 1] = np.linspace(0.1, 0.9012, len(frames))[:, None]
    r2[..., -1] = np.nan
    r2[:, 2, 0] = -0.3
    dims = ("frame", "layer", "component")
    return xr.Dataset(
        {
            "test_r2": (dims, r2),
            "sparsity": (dims, np.full(shape, 7)),
            "checkpoint": ("frame", np.array([run.digest(f) for f in frames], object)),
            "n_test": 20,
        },
        {"frame": list(frames), "layer": list(layers), "component": list(components)},
        {"samples": "0123456789abcdef" * 4},
    )


def contents(paths):
    """What the page of these runs says; the first one has a probe result."""
    runs = [open_run(path) for path in paths]
    try:
        found, verdicts = cohort(runs), collapse(runs)
        strips = [[Strip("end", 4000, film(run, count=3, until=60))] for run in runs]
        probes = [probed(runs[0]), *[None] * (len(runs) - 1)]
        return page_content(runs, found, verdicts, strips, probes)
    finally:
        for run in runs:
            run.close()


def page(paths):
    """Its HTML."""
    return render(contents(paths))
