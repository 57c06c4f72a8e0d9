"""Logs of runs that stay stuck, escape, or escape too late, for whole run files."""

N = 12
FRAMES = tuple(1000 * i for i in range(N))
WINDOW = {"rule_window": 8000, "total_frames": 24_000}
WHOLE = {"rule_window": 8000, "total_frames": 11_001, "eval_every_frames": 1000}
"""Settings of a run whose last evaluation is at the last of `FRAMES`."""


def log_of(spread: list[float], attempt: list[int] | None = None) -> dict[str, list]:
    """Columns of a run whose gradient flows where its spread is high; untrained at frame 0."""
    norm = [1e-6 if value < 0.1 else 1e-2 for value in spread]
    return {
        "action_spread": [0.06, *spread[1:]],
        "grad_norm": [[0.5, value, 0.5] for value in norm],
        "updates": [0, *range(100, 100 * N, 100)],
        "attempt": attempt or [1] * N,
    }


STUCK, ESCAPES, LATE = [1e-5] * N, [1e-5] * 5 + [0.5] * (N - 5), [1e-5] * 9 + [0.5] * (N - 9)
