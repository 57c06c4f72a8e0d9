"""How the paths of all targets grow together: an orthogonal basis each, all sets' rows along."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vrlprobe.probes.columns import Columns, vary_no_more_than_rounding

TIE = 1e-12
"""Two scores whose relative gap is smaller are equal: the lower column index is taken."""
EXACT = 1e-12
"""A target is met when its residual is at most this share of the centred target."""
DEPENDENT = 1e-8
"""A column is spent when at most this share of it lies outside the chosen columns' span."""


class Growth:
    """All targets' paths; float64, rows of every set side by side, the training rows first.

    Every target that is still going has the same number of atoms. The others stay as they are.

    Parameters
    ----------
    columns : Columns
        Candidates on the training rows.
    heldout : array of shape (n_samples, n_features)
        Each held-out set, on the same device.
    targets : float64 array of shape (n_samples, n_targets)
        The training set and each held-out one.
    max_atoms : int
        The largest sparsity.
    patience : int or None
        Atoms without a better error on the first held-out set, after which a target stops; None
        never stops for it.
    """

    def __init__(
        self,
        columns: Columns,
        heldout: Sequence[Tensor],
        targets: Sequence[Tensor],
        max_atoms: int,
        patience: int | None,
    ) -> None:
        self.columns, self.heldout, self.patience = columns, heldout, patience
        self.lengths = [len(part) for part in targets]
        n_train, n_targets = targets[0].shape
        self.cap = cap = max(0, min(max_atoms, n_train - 1, len(columns.live)))
        self.mean = targets[0].mean(dim=0)
        self.residual = (torch.cat(list(targets)) - self.mean).T.contiguous()
        norm = torch.linalg.vector_norm(self.residual[:, :n_train], dim=1)
        constant = vary_no_more_than_rounding(targets[0].T)
        self.scale = torch.where(constant, 1.0, norm)
        self.residual /= self.scale[:, None]
        self.residual[constant, :n_train] = 0.0
        self.going = ~constant
        new = self.residual.new_zeros
        self.basis = new((n_targets, cap, sum(self.lengths)))
        self.triangle = new((n_targets, cap, cap))
        self.projection = new((n_targets, cap))
        self.atom_mean, self.atom_norm = new((n_targets, max_atoms)), new((n_targets, max_atoms))
        self.atom_norm += 1.0
        self.chosen = torch.full((n_targets, max_atoms), -1, device=columns.live.device)
        self.n_atoms = torch.zeros_like(self.chosen[:, 0])
        self.errors = new((len(targets), n_targets, max_atoms + 1))
        self._record(0)

    def run(self) -> None:
        """Grow until no target is going any more."""
        for at in range(self.cap):
            going = torch.nonzero(self.going)[:, 0]
            if not len(going):
                break
            self._extend(going, self._choose(going, at), at)
            self._record(at + 1)
            self._lose_patience(at + 1)

    def _choose(self, going: Tensor, at: int) -> Tensor:
        """The best row of ``columns.unit`` for each target, -1 where nothing correlates."""
        residuals = self.residual[going, : self.lengths[0]]
        residuals = residuals / torch.linalg.vector_norm(residuals, dim=1, keepdim=True)
        target, row = self.columns.contenders(residuals, self.chosen[going, :at])
        rows, place = torch.unique(row, return_inverse=True)
        allowed = torch.zeros((len(going), len(rows)), dtype=torch.bool, device=rows.device)
        allowed[target, place] = True
        scores = self.columns.exact(rows, residuals).masked_fill_(~allowed, -1.0)
        best = scores.amax(dim=1)
        first = (scores >= (best * (1 - TIE))[:, None]).byte().argmax(dim=1)
        return torch.where(best > EXACT, rows[first], -1)

    def _extend(self, going: Tensor, rows: Tensor, at: int) -> None:
        """Give each target its atom; one whose atom the chosen columns span stops without it."""
        going, rows = going[rows >= 0], rows[rows >= 0]
        self.going &= torch.zeros_like(self.going).index_fill_(0, going, True)
        new, mean, norm = self._columns(rows)
        parts = self._take_out_the_chosen(new, going, at)
        length = torch.linalg.vector_norm(new[:, : self.lengths[0]], dim=1)
        free = length > DEPENDENT
        self.going[going[~free]] = False
        going, length = going[free], length[free]
        self.chosen[going, at] = rows[free]
        self.n_atoms[going] += 1
        self.atom_mean[going, at], self.atom_norm[going, at] = mean[free], norm[free]
        self.triangle[going, :at, at] = parts[free]
        self.triangle[going, at, at] = length
        self._explain(going, new[free] / length[:, None], at)

    def _take_out_the_chosen(self, new: Tensor, going: Tensor, at: int) -> Tensor:
        """Leave of each column, in place, what is orthogonal to its target's basis of ``at``.

        Two passes of Gram-Schmidt on the training rows; the held-out rows take the same
        coefficients, so their residual is that of the refitted model. Returns these (n_going, at).
        """
        n_train = self.lengths[0]
        parts = new.new_zeros((len(new), at))
        for part, column, target in zip(parts, new, going.tolist(), strict=True):
            basis = self.basis[target, :at]  # a view: products of all targets at once copy it
            train, rest = basis[:, :n_train].T, basis[:, n_train:].T
            for _ in range(2):
                again = torch.mv(train.T, column[:n_train])
                column[:n_train].addmv_(train, again, alpha=-1)
                part += again
            column[n_train:].addmv_(rest, part, alpha=-1)
        return parts

    def _explain(self, going: Tensor, unit: Tensor, at: int) -> None:
        """Take each target's new basis vector out of its residual; one that is met stops."""
        n_train = self.lengths[0]
        amount = (unit[:, :n_train] * self.residual[going, :n_train]).sum(dim=1)
        self.residual[going] -= amount[:, None] * unit
        self.basis[going, at] = unit
        self.projection[going, at] = amount * self.scale[going]
        left = torch.linalg.vector_norm(self.residual[going, :n_train], dim=1)
        self.going[going[left <= EXACT]] = False

    def _columns(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Unit columns over the rows of all sets (n_rows, n_all), their means and norms."""
        train, mean, norm = self.columns.centred(rows)
        which = self.columns.live[rows]
        rest = [held.T[which].double() - mean[:, None] for held in self.heldout]
        return torch.cat([train, *rest], dim=1) / norm[:, None], mean, norm

    def _record(self, at: int) -> None:
        """Mean squared errors of all sets from ``at`` atoms on, in the targets' units."""
        parts = torch.split(self.residual, self.lengths, dim=1)
        found = torch.stack([(part**2).mean(dim=1) for part in parts]) * self.scale**2
        self.errors[:, :, at:] = found[:, :, None]

    def _lose_patience(self, at: int) -> None:
        """Stop the targets whose held-out error has not improved for ``patience`` atoms."""
        if self.patience is not None:
            best = self.errors[1, :, : at + 1].argmin(dim=1)
            self.going &= at - best < self.patience
