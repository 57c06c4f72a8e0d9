"""The columns a probe chooses from: rough scores of all of them at the memory's speed, exact ones.

Rough scores come from one product of a low-precision copy of the centred unit columns with the
residuals. The copy's rounding is measured column by column, so that a bound on the error of every
score is known, and only the columns that may still be the best are scored again in float64.
"""

import time
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import linear

from vrlprobe.device import full_products
from vrlprobe.probes.arrays import blocks, refuse_spoilt

SCREENING = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
ACCUMULATION = 2.0**-23
"""Error of each addition in a float32 sum, relative to the sum of sizes: twice the rounding unit,
for processors that cut off instead of rounding."""
WORTH = 0.75
"""Half precision is taken where a product takes at most this share of float32's time."""
SMALL = 1 << 20
"""Up to so many elements a product takes no time worth saving, but rescoring more columns would."""


class Columns:
    """Columns of the training rows as candidates, constant and seldom active ones left out.

    Parameters
    ----------
    train : Tensor
        Float32 (n_samples, n_features) or float64, any strides; feature-major (a transposed view of
        rows of features) is fastest.
    min_active : int
        Training samples on which a column must differ from 0.
    screening : str
        A name out of `SCREENING`, or "auto".

    Raises
    ------
    ValueError
        NaN or infinite values.
    """

    def __init__(self, train: Tensor, min_active: int, screening: str) -> None:
        self.raw = train.T
        n_features, n_samples = self.raw.shape
        self.screening = _resolve(screening, self.raw)
        dtype = SCREENING[self.screening]
        self.unit = torch.empty((n_features, n_samples), dtype=dtype, device=train.device)
        errors, live, spoilt, filled = [], [], [], 0
        for part in blocks(self.raw):
            alive, error, unit = _unit_rows(self.raw[part].contiguous(), min_active, dtype)
            spoilt.append(~torch.isfinite(error))
            where = torch.nonzero(alive)[:, 0]
            torch.index_select(unit, 0, where, out=self.unit[filled : filled + len(where)])
            errors.append(error[where])
            live.append(part.start + where)
            filled += len(where)
        refuse_spoilt("X", torch.cat(spoilt))
        self.live = torch.cat(live)
        """(n_live,): which columns these are."""
        self.unit = self.unit[:filled]
        self.error = torch.cat(errors)
        """(n_live,): norm of what each unit column lost in the copy."""
        self.summing = (n_samples + 8) * ACCUMULATION
        self.rounding = 0.0 if dtype == torch.float32 else 0.51 * float(torch.finfo(dtype).eps)

    def screen(self, residuals: Tensor) -> tuple[Tensor, Tensor]:
        """Rough scores of unit residuals, and by how much they may be off.

        Parameters
        ----------
        residuals : float64 array of shape (n_targets, n_samples)

        Returns
        -------
        tuple[Tensor, Tensor]
            Scores (n_targets, n_live) float32 and, for a score s of column j and target k, the part
            ``m[k]`` of its bound ``m[k] + error[j] + rounding * s``: (n_targets,) float32.
        """
        right = residuals.to(self.unit.dtype)
        lost = torch.linalg.vector_norm(residuals - right.double(), dim=1)
        with full_products():
            rough = linear(self.unit, right)
        scores = torch.empty(rough.T.shape, dtype=torch.float32, device=rough.device)
        margin = 1.01 * lost + self.summing  # the copies' norms are 1 to within a hundredth
        return scores.copy_(rough.T).abs_(), margin.float()

    def contenders(self, residuals: Tensor, taken: Tensor) -> tuple[Tensor, Tensor]:
        """Pairs (target, row of ``unit``) that may be a target's best; each (n_pairs,).

        Parameters
        ----------
        taken : Tensor
            (n_targets, k) rows that are no candidates any more.
        """
        scores, margin = self.screen(residuals)
        scores.scatter_(1, taken, -torch.inf)
        best, at = scores.max(dim=1)
        lowest = best * (1 - self.rounding) - self.error[at] - 2 * margin
        reach = torch.add(self.error, scores, alpha=1 + self.rounding)
        pairs = torch.nonzero(reach >= lowest[:, None])
        return pairs[:, 0], pairs[:, 1]

    def exact(self, rows: Tensor, residuals: Tensor) -> Tensor:
        """Absolute scores (n_targets, n_rows) in float64 from the raw columns ``live[rows]``."""
        out = residuals.new_empty((len(residuals), len(rows)))
        for part in blocks(self.raw, len(rows)):
            centred, _, norm = self.centred(rows[part])
            out[:, part] = ((residuals @ centred.T) / norm).abs_()
        return out

    def centred(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Columns ``live[rows]`` in float64: centred (n_rows, n_samples), means, norms."""
        values = self.raw[self.live[rows]].double()
        mean = values.mean(dim=1)
        values -= mean[:, None]
        return values, mean, torch.linalg.vector_norm(values, dim=1)


def live_columns(train: Tensor, min_active: int) -> Tensor:
    """Columns of ``train`` (n_samples, n_features) that are candidates, as `Columns.live`."""
    raw = train.T
    alive = [
        _unit_rows(raw[part].contiguous(), min_active, torch.float32)[0] for part in blocks(raw)
    ]
    return torch.nonzero(torch.cat(alive))[:, 0]


def _unit_rows(raw: Tensor, min_active: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Which rows are candidates, the error of each unit row's copy, and the copies.

    The error is NaN for a row that is not finite. It counts the copy's rounding, measured, and the
    arithmetic before it, bounded: that of the mean, the difference and the norm.
    """
    n_samples = raw.shape[1]
    peak = raw.abs().amax(dim=1)
    zero: Tensor = peak == 0
    scaled = raw / torch.where(zero, 1.0, peak)[:, None]
    scaled -= scaled.mean(dim=1, keepdim=True)
    norm = torch.linalg.vector_norm(scaled, dim=1)
    unit = scaled.div_(torch.where(norm == 0, 1.0, norm)[:, None]).float()
    copy = unit.to(dtype)
    if dtype == torch.float32:
        lost = torch.zeros_like(norm)
    else:
        lost = torch.linalg.vector_norm(unit.sub_(copy), dim=1)
    alive = ~(zero | _are_constant(raw, norm, zero))
    if min_active > 1:
        alive &= (raw != 0).sum(dim=1) >= min_active
    eps = torch.finfo(raw.dtype).eps
    size = n_samples**0.5  # of a scaled row, at most
    before = (n_samples + 8) * ACCUMULATION + 8 * eps * size / torch.where(norm == 0, 1.0, norm)
    error = 1.01 * lost + before
    return alive, torch.where(torch.isfinite(peak), error, torch.nan).float(), copy


def _are_constant(raw: Tensor, norm: Tensor, zero: Tensor) -> Tensor:
    """Which rows, not all ``zero``, vary by no more than rounding; ``norm``: of the scaled rows."""
    constant = torch.zeros_like(zero)
    suspect = norm <= 64 * torch.finfo(raw.dtype).eps * raw.shape[1] ** 0.5
    at = torch.nonzero(suspect & ~zero)[:, 0]
    if len(at):
        constant[at] = vary_no_more_than_rounding(raw[at])
    return constant


def vary_no_more_than_rounding(rows: Tensor) -> Tensor:
    """Rows (k, n) whose centred norm is at most 8 epsilon of their type against the raw norm."""
    values = rows.double()
    centred = values - values.mean(dim=1, keepdim=True)
    limit = 8 * torch.finfo(rows.dtype).eps * torch.linalg.vector_norm(values, dim=1)
    constant: Tensor = torch.linalg.vector_norm(centred, dim=1) <= limit
    return constant


def _resolve(screening: str, raw: Tensor) -> str:
    """The precision to screen in: the one asked for, or the fastest for matrices of this size."""
    if screening != "auto":
        if screening not in SCREENING:
            raise ValueError(f"screening is auto, {', '.join(SCREENING)}, not {screening!r}")
        return screening
    if raw.numel() <= SMALL:
        return "float32"
    return fastest_precision(raw.device.type, torch.get_num_threads())


@cache
def fastest_precision(device: str, n_threads: int) -> str:
    """Which of `SCREENING` this processor multiplies fastest in, timed once a process.

    Not by the processor's name: without matrix instructions bfloat16 takes twice float32's time
    and float16 twenty times.
    """
    taken: dict[str, float] = {}
    for name, dtype in SCREENING.items():
        unit = torch.ones((8192, 2048), dtype=dtype, device=device)  # beyond the caches
        right = torch.ones((24, 2048), dtype=dtype, device=device)
        for attempt in range(4):  # the first sets things up and is too long a measure
            start = time.perf_counter()
            linear(unit, right).sum().item()
            taken[name] = min(taken.get(name, torch.inf), time.perf_counter() - start)
            if attempt == 1 and taken[name] > 2 * taken["float32"]:
                break
    best = min(taken, key=lambda name: taken[name])
    return best if taken[best] <= WORTH * taken["float32"] else "float32"
