"""Every kind of probe: its names in options, captions and notes, and where its fit is.

Reading this table imports no fit, so that help texts and figures are quick.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ProbeKind:
    """A kind of probe.

    Attributes:
        fit: module and function, `package.module:name`, called with the sets and
            `vrlprobe.probes.registry.ProbeSettings`; it returns a
            `vrlprobe.probes.registry.Fitted`.
        caption: in figures and reports.
        option: in the help of `--probe`.
        edge_note: what the mark `+` means in a table; `{max_atoms}` is that argument.
    """

    fit: str
    caption: str
    option: str
    edge_note: str


PROBES = {
    "omp": ProbeKind(
        "vrlprobe.probes.registry:fit_omp",
        "sparse linear",
        "sparse linear",
        "+ uses all {max_atoms} atoms: a larger --max-atoms may do better",
    ),
    "ridge": ProbeKind(
        "vrlprobe.probes.registry:fit_ridge",
        "ridge",
        "linear in all activations",
        "+ takes the smallest or largest penalty tried",
    ),
    "mlp": ProbeKind(
        "vrlprobe.probes.registry:fit_mlp",
        "nonlinear (MLP)",
        "a small network",
        "+ was still improving when training ended",
    ),
}
"""By the name that `--probe` takes."""
