"""Agents assembled of every CNN and every MLP (paper, Figure 3)."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import product

from vrlprobe.analyses.shared.assembly import Assembly, Places, Transplant, check_named
from vrlprobe.analyses.shared.donors import Pair, Place, Pool, Wish
from vrlprobe.errors import TransplantError
from vrlprobe.runs.reader import Run


def grid(
    donors: Mapping[str, Place],
    *,
    critics: Places = ("mlp",),
    chosen: Mapping[str, Sequence[Place]] | None = None,
    runs: Places = "runs",
    seed: int = 0,
    pair: Pair = "different",
    good: float | None = None,
    bad: float | None = None,
    task: str | None = None,
) -> Iterator[Transplant]:
    """Every CNN with every MLP out of some donors: nine cells for blank, good and bad.

    All cells have the settings of one run, so that their trainings can be compared.

    Args:
        donors: name in the cells' labels -> donor, as for `transplant`.
        critics: where the critic comes from, one or several; beyond the first, cells are made only
            where it makes a difference.
        chosen: run files by class, to draw from instead of `runs`.

    The other arguments are those of `transplant`.

    Raises:
        As `transplant`; TransplantError without donors, too.
    """
    check_named("donors", donors, "blank")
    if not donors:
        raise TransplantError("no donor is given: a grid is made of one or more")
    critics = [critics] if isinstance(critics, str | os.PathLike | Run) else critics
    wishes = {name: Wish.parse(text) for name, text in donors.items()}
    with ExitStack() as stack:
        pool = Pool(runs, stack, seed=seed, pair=pair, good=good, bad=bad, task=task, chosen=chosen)
        given = [wish for wish in wishes.values() if wish.word != "blank"]
        like = pool.find(given[0]).run if given else None
        made: set[str] = set()
        for critic in critics:
            assembly = Assembly(pool, critic, {}, like)
            for (cnn, cnn_wish), (mlp, mlp_wish) in product(wishes.items(), wishes.items()):
                cell = assembly.make(cnn_wish, mlp_wish, f"{cnn}-{mlp}")
                if cell.digest not in made:
                    made.add(cell.digest)
                    yield cell
