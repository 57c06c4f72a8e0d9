"""One agent assembled from donors' parts (paper, section 4.2)."""

from collections.abc import Mapping
from contextlib import ExitStack

from vrlprobe.analyses.shared.assembly import Assembly, Places, Transplant, check_named
from vrlprobe.analyses.shared.donors import Pair, Place, Pool, Wish


def transplant(
    cnn: Place,
    mlp: Place,
    *,
    critic: Place = "mlp",
    layers: Mapping[str, Place] | None = None,
    runs: Places = "runs",
    seed: int = 0,
    pair: Pair = "different",
    good: float | None = None,
    bad: float | None = None,
    task: str | None = None,
) -> Transplant:
    """Assemble an agent from donors (paper, section 4.2).

    Args:
        cnn, mlp: donors of the encoder and of the actor: `good`, `middle` or `bad`, drawn from the
            runs; `blank`, freshly initialised; `self`, the donor of the other one; or a run file.
            A class or file may have a checkpoint: `@last` (as without), `@best`, `@collapsed`, or
            a frame, `runs/seed3.h5@100000`. An open run is its file.
        critic: which donor's critic and target critic: `mlp` (of the MLP's), `cnn`, or a donor.
        layers: donors of single pieces (`cnn1` … `cnn4`, `mlp0` … `mlp2`, `head`, the actor's last
            linear map), over those of the part.
        runs: folder whose finished runs classes are drawn from, or run files.
        seed: of the draw and of blank networks.
        pair: whether CNN and MLP that ask for one class come from one agent, `same`, or from two,
            `different`, as in the paper: good-good is then no agent that was trained together.
        good, bad: thresholds of the classes by return; each run's own profile's if None.
        task: of the runs drawn from; needed where there are several.

    Raises:
        TransplantError: a class without a run, a donor that is none, or donors that do not fit.
        UnknownFrameError, FormatError: a run file has no such checkpoint, or is none.
        ValueError: another word for the pair, or a seed below 0.
    """
    check_named("layers", layers or {}, "mlp1")
    with ExitStack() as stack:
        pool = Pool(runs, stack, seed=seed, pair=pair, good=good, bad=bad, task=task)
        return Assembly(pool, critic, layers or {}).make(Wish.parse(cnn), Wish.parse(mlp))
