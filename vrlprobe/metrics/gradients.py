"""Gradient norms by layer: computed on a checkpoint's stored batch, or as logged."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vrlprobe.runs.reader import Run


def gradient_norms(run: "Run", frame: int, agent: Any = None) -> dict[str, float]:
    """Gradient norm by layer on the batch stored with a checkpoint; empty where it has none.

    The checkpoint's agent is built if it is not given.
    """
    complete = any(name.startswith("critic/") for name in run.layout.parameters)
    batch = run.batch(frame) if complete else None
    if batch is None:
        return {}
    agent = agent or run.agent(frame)
    if not hasattr(agent, "gradient_norms"):
        return {}
    norms: dict[str, float] = agent.gradient_norms(*batch)
    return norms


def logged_norms(run: "Run", frame: int) -> dict[str, float]:
    """Gradient norm by layer as it was logged at a checkpoint; empty where it was not."""
    if tuple(run.layout.log.get("grad_norm", ())) != ("layer",):
        return {}
    row = run.read("log/grad_norm", run.row(frame))  # the whole log for each checkpoint is too much
    return dict(zip(run.layout.coords["layer"], row.tolist(), strict=True))
