"""What is inside a run, in a few numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vrlprobe.runs.provenance import stated_steps, stated_versions
from vrlprobe.runs.reader import Run
from vrlprobe.runs.record import is_finished, last_due


def summarise(run: Run) -> dict[str, Any]:
    """The facts that `vrlprobe info` shows, as plain JSON values; None where there is none.

    Returns are means over a rollout's episodes, or the log's `episode_return` in a run without
    rollouts. `size` is in bytes, frames in environment frames.
    """
    rollouts = [run.rollout(frame) for frame in run.frames.tolist()]
    returns = run.returns
    scored = np.flatnonzero(np.isfinite(returns))
    best = int(scored[np.argmax(returns[scored])]) if len(scored) else None
    return {
        "path": str(run.path),
        "state": run.state,
        "finished": is_finished(run),
        "last_due": None if "transplant" in run.provenance else last_due(run),  # not trained
        **{key: run.config.get(key) for key in ("task", "seed", "profile", "architecture")},
        "checkpoints": len(run.frames),
        "first_frame": int(run.frames[0]) if len(run.frames) else None,
        "last_frame": int(run.frames[-1]) if len(run.frames) else None,
        "episodes": sum(map(len, rollouts)),
        "episodes_with_images": sum(n > 0 for rollout in rollouts for n in rollout.n_images),
        "return_at_end": float(returns[-1])
        if len(scored) and scored[-1] == len(returns) - 1
        else None,
        "best_return": None if best is None else float(returns[best]),
        "best_frame": None if best is None else int(run.frames[best]),
        "parameters": sum(int(np.prod(s)) for s in run.layout.parameters.values()),
        "components": list(run.components),
        "versions": stated_versions(run.provenance),
        "stretches": run.stretches,
        "made_of": _made_of(run.provenance),
        "origin": stated_steps(run.provenance),
        "size": run.size,
    }


def _made_of(provenance: Mapping[str, Any]) -> list[str]:
    """The donors of a transplant or an init, `mlp0 mlp1: good, …`, or the files of an import.

    None where another program has something else under these names.
    """
    groups: dict[str, list[str]] = {}
    try:
        if "import" in provenance:
            sources = provenance["import"]["sources"]
            return [f"{file['file']} at {file['frame']:,}" for file in sources]
        made = provenance.get("transplant") or provenance.get("init") or {}
        for piece, origin in made.get("pieces", {}).items():
            run_name = f", {origin['run']} at frame {origin['frame']}" if "run" in origin else ""
            groups.setdefault(f"{origin['donor']}{run_name}", []).append(piece)
    except (AttributeError, KeyError, TypeError, ValueError):
        return []
    return [f"{' '.join(pieces)}: {text}" for text, pieces in groups.items()]
