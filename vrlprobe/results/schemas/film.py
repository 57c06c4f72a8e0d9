"""Images of evaluation episodes."""

import numpy as np

from vrlprobe.results.schema import Schema, Variable

FILM = Schema(
    "film",
    {
        "image": Variable(
            (
                "row",
                "time",
                "y",
                "x",
                "colour",
            ),
            0,
            "image of the episode, black after its end",
            "1",
        ),
        "run": Variable(("row",), "", "whose episode it is"),
        "checkpoint": Variable(("row",), -1, "frame of the checkpoint", "frames"),
        "episode": Variable(("row",), 0, "place in the rollout, from 0 on"),
        "episode_return": Variable(("row",), np.nan, "return of the episode", "reward"),
        "length": Variable(("row",), 0, "length of the episode", "frames"),
        "rendered": Variable(("row",), False, "whether the images were rendered anew"),
        "frame": Variable(("time",), 0, "frame of the episode, action repeat included", "frames"),
    },
    needed=("row", "time"),
)
