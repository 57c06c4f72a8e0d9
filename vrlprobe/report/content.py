"""What a report says, as plain data: the template only sets it."""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from PIL import Image

from vrlprobe.analyses.shared.average import class_ends
from vrlprobe.collapse.measurements import (
    CheckpointPhase,
    Measurements,
    checkpoint_phases,
    measurements,
)
from vrlprobe.collapse.phases import spans
from vrlprobe.collapse.verdict import Verdict
from vrlprobe.probes.kinds import PROBES
from vrlprobe.report.curves import (
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    Axis,
    Chart,
    chart,
    rounded,
    whole_text,
)
from vrlprobe.report.summary import ON_COLLAPSE, summary
from vrlprobe.results.file import package_versions, probe_kind
from vrlprobe.runs.logged import LoggedRun
from vrlprobe.runs.record import config_digest
from vrlprobe.runs.settings import last_due

LARGEST, QUALITY = 96, 80
"""Pixels across an image of a strip, at most, and the quality of its JPEG."""
LOWEST, HIGHEST = 1e-9, 1.0
"""Ends of the logarithmic axes."""
SHOWN_LAYERS = ("mlp1", "mlp2")


@dataclass(frozen=True)
class Strip:
    """A film strip of one checkpoint, or why there is none."""

    when: str
    """start, middle or end."""
    frame: int
    film: xr.Dataset | None
    reason: str = ""


def page_content(
    runs: Sequence[LoggedRun],
    found: xr.Dataset,
    verdicts: Sequence[Verdict],
    strips: Sequence[Sequence[Strip]],
    probes: Sequence[xr.Dataset | None],
    diagnosis: xr.Dataset | None = None,
) -> dict[str, Any]:
    """Everything on the page.

    Args:
        runs: open runs or records, whose logs are drawn.
        found: their cohort, of `vrlprobe.analyses.cohort`.
        verdicts: a run each.
        strips: a run's film strips, in order.
        probes: a run's part of a probe result, or None.
        diagnosis: what `vrlprobe.analyses.diagnose` returned.
    """
    frames = sorted({frame for run in runs for frame in run.frames.tolist()})
    returned = found["episode_return"].values
    top = max([1.0, *returned[np.isfinite(returned)]])
    cards = [
        _card(place, run, found.isel(run=place), verdict, (max(frames), float(top)))
        for place, (run, verdict) in enumerate(zip(runs, verdicts, strict=True))
    ]
    for card, its_strips, result in zip(cards, strips, probes, strict=True):
        card["strips"] = [_strip(strip) for strip in its_strips]
        card["heat"] = None if result is None else _heat(result)
    return {
        "diagnoses": [] if diagnosis is None else _diagnoses(diagnosis),
        "summary": summary(found).replace("\n", "; "),
        "classes": _classes(found),
        "on_collapse": ON_COLLAPSE,
        "tasks": sorted(set(found["task"].values.tolist())),
        "frames": frames,
        "runs": cards,
        "versions": package_versions(),
        "arguments": json.loads(found.attrs["arguments"]),
        "samples": sorted({result.attrs["samples"] for result in probes if result is not None}),
        "any_probe": any(result is not None for result in probes),
    }


def _diagnoses(result: xr.Dataset) -> list[dict[str, Any]]:
    """Each run's diagnosis: its lines by what they say."""
    texts = zip(result["run"].values.tolist(), result["text"].values.tolist(), strict=True)
    return [
        {"run": run, "lines": [line.split(maxsplit=1) for line in text.splitlines()]}
        for run, text in texts
    ]


def _classes(found: xr.Dataset) -> str:
    """From which returns runs are good and bad, where all have the same thresholds."""
    asked = json.loads(found.attrs["arguments"])
    runs = found["run"].values.tolist()
    ends = {class_ends(found, run, asked["good"], asked["bad"]) for run in runs}
    if len(ends) > 1:
        return "good and bad are returns by each run's own settings"
    ((good, bad),) = ends
    return f"good: a return of {good:g} or more at the end; bad: of {bad:g} or less"


def _card(
    place: int, run: LoggedRun, row: xr.Dataset, verdict: Verdict, ends: tuple[int, float]
) -> dict[str, Any]:
    """One run's row of the table, charts and provenance."""
    read = measurements(run)
    phases = checkpoint_phases(read)
    return {
        "label": str(row["run"].item()),
        "anchor": f"run-{place}",
        "task": row["task"].item(),
        "seed": row["seed"].item(),
        "final": whole_text(float(row["final_return"])),
        "short_of": None if row["finished"] else last_due(run),
        "kind": row["class"].item(),
        "word": verdict.word,
        "verdict": str(verdict),
        "reason": verdict.reason,
        "state": run.state,
        "attempts": row["attempts"].item(),
        "frames": run.frames.tolist(),
        "phases": [phase.word for phase in phases],
        "returns": [whole_text(value) for value in run.returns.tolist()],
        "charts": _charts(run, read, phases, *ends),
        "provenance": _provenance(run),
    }


def _charts(
    run: LoggedRun, read: Measurements, phases: Sequence[CheckpointPhase], last: int, top: float
) -> list[Chart]:
    common: dict[str, Any] = {
        "x": Axis(0, last, LEFT, RIGHT),
        "spans": spans(phases, int(run.frames[-1])),
        "attempts": read.attempts,
    }
    at = run.frames.astype(float)
    gradients = {layer: read.values.get(f"grad_norm[{layer}]") for layer in SHOWN_LAYERS}
    known = {layer: values for layer, values in gradients.items() if values is not None}

    logged = Axis(LOWEST, HIGHEST, BOTTOM, TOP, log=True)
    spread = {"": read.values["action_spread"]}
    returned = {"": np.asarray(run.returns, np.float64)}
    return [
        chart("return", at, returned, y=Axis(0, top, BOTTOM, TOP), **common),
        chart("spread of actions", at, spread, y=logged, **common),
        chart("gradient norm", at, known, y=logged, **common),
    ]


def _strip(strip: Strip) -> dict[str, Any]:
    shown: dict[str, Any] = {"when": strip.when, "frame": strip.frame, "reason": strip.reason}
    if strip.film is not None:
        row = strip.film.isel(row=0)
        images = row["image"].values
        shown |= {
            "picture": _picture(images),
            "count": len(images),
            "until": int(row["frame"][-1]),
            "returned": whole_text(float(row["episode_return"])),
            "rendered": bool(row["rendered"]),
            "ratio": len(images) * images.shape[2] / images.shape[1],
        }
    return shown


def _picture(images: np.ndarray) -> str:
    """Images (n, y, x, 3) side by side as a JPEG in a data URI."""
    whole = Image.fromarray(np.concatenate(list(images), axis=1))
    if images.shape[1] > LARGEST:
        scale = LARGEST / images.shape[1]
        whole = whole.resize((round(whole.width * scale), LARGEST))
    buffer = io.BytesIO()
    whole.save(buffer, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _heat(result: xr.Dataset) -> dict[str, Any]:
    """R² and sparsity by frame, component and layer; its best is told from more than two digits."""
    there = result.isel(frame=np.flatnonzero(result["checkpoint"].values != ""))
    r2 = there["test_r2"].transpose("frame", "component", "layer").values
    kind = probe_kind(result)
    sparsity = there["sparsity"].transpose("frame", "component", "layer").values
    return {
        "frames": there["frame"].values.tolist(),
        "layers": there["layer"].values.tolist(),
        "components": there["component"].values.tolist(),
        "r2": [[rounded(line) for line in frame] for frame in r2],
        "atoms": sparsity.tolist() if kind == "omp" else None,
        "probe": PROBES[kind].caption,
        "samples": result.attrs["samples"],
        "n_test": int(result["n_test"]),
    }


def _provenance(run: LoggedRun) -> dict[str, Any]:
    return {
        "file": run.path.name,
        "config": config_digest(run.config),
        "checkpoint": run.known_digest(int(run.frames[-1])),
        "settings": {key: value for key, value in run.config.items() if value is not None},
        "versions": dict(run.versions),
    }
