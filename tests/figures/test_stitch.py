"""The matrices show every pair's numbers, and frame those that do not act."""

import matplotlib as mpl
import numpy as np
import pytest

from vrlprobe import figures
from vrlprobe.analyses._stitch import BOUNDS, PARTS
from vrlprobe.errors import FormatError
from vrlprobe.results.schemas.stitch import STITCH


def result(adapters, episodes=7):
    """Two checkpoints, of which the second one's MLP does not act."""
    labels = ["seed1@100000", "seed3@100000"]
    found = STITCH.blank(
        {
            "cnn": labels, "mlp": labels, "adapter": adapters, "episode": range(episodes),
            "part": PARTS, "bound": BOUNDS, "donor": labels,
        }
    )  # fmt: skip
    found.attrs |= {"vrlprobe": "stitch"}
    found["action_spread"][:] = np.array([[0.61, 2e-8], [0.5, 1e-8]])[..., None]
    found["mean_return"].loc[{"bound": "estimate"}] = np.array([[333, 21], [92, 22]])[..., None]
    found["mean_return"].loc[{"bound": "low"}] = np.array([[300, 20], [80, 20]])[..., None]
    found["mean_return"].loc[{"bound": "high"}] = np.array([[350, 25], [99, 25]])[..., None]
    found["action_r2"].loc[{"part": "mlp"}] = np.array([[1, np.nan], [-1.3, np.nan]])[..., None]
    return found


def texts(ax):
    return [text.get_text() for text in ax.texts]


def frames(ax):
    return [p.get_xy() for p in ax.patches if isinstance(p, mpl.patches.Rectangle)]


def test_numbers_and_frames():
    found = result(["none"]).isel(adapter=0, drop=True)
    drawn = figures.plot(found)
    returns, spread, agreement = drawn.figure.axes
    assert texts(returns) == [
        *("333", "300 to 350", "21", "20 to 25", "92", "80 to 99", "22", "20 to 25")
    ]
    assert texts(spread) == ["0.61", "2e-08", "0.5", "1e-08"]
    assert texts(agreement) == ["1.00", "-", "-1.30", "-"]
    for ax in drawn.figure.axes:
        assert sorted(np.round(frames(ax)).tolist()) == [[1, 0], [1, 1]]
    assert returns.get_title(loc="left") == "return, mean of 7\nepisodes, 95% interval"
    assert returns.get_yticklabels()[0].get_text().startswith("seed1@")


def test_a_row_an_adapter():
    axes = figures.stitch(result(["none", "ridge"])).figure.axes
    assert len(axes) == 6
    assert [ax.get_ylabel() for ax in axes[::3]] == [
        "CNN, as they are", "CNN, behind a\nfitted linear map",
    ]  # fmt: skip


def test_both_adapters_share_the_colours():
    found = result(["none", "ridge"])
    found["mean_return"].loc[{"adapter": "ridge"}] = 3 * found["mean_return"].sel(adapter="ridge")
    axes = figures.stitch(found).figure.axes
    limits = [ax.images[0].get_clim() for ax in axes]
    assert limits[0] == limits[3] == (0, 999)
    assert limits[1] == limits[4] == (0, 0.61)


def test_without_episodes_there_are_no_returns():
    axes = figures.stitch(result(["none"], episodes=0)).figure.axes
    assert [ax.get_title(loc="left") for ax in axes] == [
        "action std", "R² for the actions\nof the MLP's agent",
    ]  # fmt: skip


def test_only_results_of_stitch():
    with pytest.raises(FormatError, match="a result of stitch is needed, not one of probe"):
        figures.stitch(result(["none"]).assign_attrs(vrlprobe="probe"))
