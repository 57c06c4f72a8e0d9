"""A figure with the numbers behind it, as a notebook shows it and a file keeps it."""

import io
import os
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import xarray as xr
from matplotlib.figure import Figure

from vrlprobe.errors import FormatError
from vrlprobe.figures.style import OPTIONS, save_figure
from vrlprobe.results.file import save_result
from vrlprobe.runs.paths import as_path


@dataclass(frozen=True)
class Plot:
    """A figure and the numbers that it shows; a notebook shows the figure.

    Attributes:
        figure: matplotlib's, to be changed at will.
        numbers: what was drawn, labelled; `vrlprobe.save_result` keeps it.
    """

    figure: Figure
    numbers: xr.Dataset

    def save(
        self, path: str | Path, data: str | Path | None = None, *, force: bool = False
    ) -> None:
        """Write the figure, a .pdf, .png or .svg, and the numbers (NetCDF) where wanted.

        They replace earlier ones of their kind, or with `force` whatever is there.

        Raises:
            FormatError: another ending, a folder that cannot be written, or one name for both.
        """
        if data is not None and os.path.realpath(as_path(data)) == os.path.realpath(as_path(path)):
            raise FormatError(f"{path} is named twice: figure and numbers need a name each")
        save_figure(self.figure, path, force=force)
        if data is not None:
            save_result(self.numbers, data, force=force)

    def _repr_png_(self) -> bytes:
        kept = io.BytesIO()
        with mpl.rc_context(OPTIONS):
            self.figure.savefig(kept, format="png", dpi=150)
        return kept.getvalue()
