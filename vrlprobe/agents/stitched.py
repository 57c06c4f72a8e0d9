"""An agent of one donor's encoder and another's actor, with nothing or a linear map between."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from vrlprobe.agents.parts import PartedAgent
from vrlprobe.errors import FormatError


class StitchedAgent(PartedAgent):
    """The encoder of one agent, the actor of another; nothing is trained and nothing copied.

    Args:
        cnn: agent whose encoder sees the images.
        mlp: agent whose actor gives the action.
        between: map from the encoder's features (n, n_features) to those that the actor takes;
            none if they are handed on as they are.

    Raises:
        FormatError: an agent has no encoder and actor of its own.
    """

    PARTS = ("encoder", "actor")
    critic = None

    def __init__(
        self, cnn: Any, mlp: Any, between: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        for donor in (cnn, mlp):
            if getattr(donor, "actor", None) is None:
                raise FormatError(
                    f"{type(donor).__name__} has no encoder and actor that can be exchanged"
                )
        self.encoder, self.actor = cnn.encoder, mlp.actor
        self.image_shape = cnn.image_shape
        self.layers: Mapping[str, str] = {
            **{name: path for name, path in cnn.layers.items() if _of(path, "encoder")},
            **{name: path for name, path in mlp.layers.items() if path and _of(path, "actor")},
        }
        self._prepare, self._between = cnn.normalise, between
        self.eval()

    def forward(self, observations: Tensor) -> Tensor:
        """The actor's output (n, action_dim) for stacked uint8 observations (n, *image_shape)."""
        features: Tensor = self.encoder(self._prepare(observations))
        if self._between is not None:
            features = self._between(features)
        output: Tensor = self.actor(features)
        return output


def _of(path: str, part: str) -> bool:
    """Whether a layer's module lies in a part; the input, "", enters the encoder."""
    return not path or path.split(".")[0] == part
