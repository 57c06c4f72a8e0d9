"""What a training must at least compute and move, in closed form from its settings.

Operations are multiplications and additions, two a multiply-add, of convolutions and matrix
products; bytes are those read and those written, each once.
"""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from vrlprobe.agents.sizes import feature_size
from vrltrain.config.settings import TrainConfig

FLOAT = 4
"""Bytes of a parameter."""


class Cost(NamedTuple):
    """What some work takes at least.

    Attributes:
        products: operations in convolutions and matrix products, by their precision.
        bytes: read and written.
        times: how many times over the work is done; `products` and `bytes` are of all together.
    """

    products: Mapping[str, float] = {}
    bytes: float = 0
    times: float = 1

    @property
    def operations(self) -> float:
        """In any precision."""
        return sum(self.products.values())

    def repeated(self, times: float) -> "Cost":
        """The same work so many times over."""
        products = {precision: count * times for precision, count in self.products.items()}
        return Cost(products, self.bytes * times, self.times * times)


class Sizes(NamedTuple):
    """Multiply-adds of one sample in each network, which are also numbers of weights but for
    convolutions.

    Attributes:
        first: the encoder's first convolution.
        encoder: all four.
        trunk: the linear map from features, the actor's or the critic's.
        hidden: the linear map between the hidden layers of one MLP.
        policy: the actor behind its trunk, its hidden map included.
        values: both Q functions behind the critic's trunk, their hidden maps included.
    """

    first: int
    encoder: int
    trunk: int
    hidden: int
    policy: int
    values: int


def sizes(config: TrainConfig, n_actions: int) -> Sizes:
    """The networks of these settings."""
    channels, hidden, features = config.channels, config.hidden_dim, config.feature_dim
    side = (config.image_size - 3) // 2 + 1
    first = channels * 3 * config.frame_stack * 9 * side**2
    others = sum(channels**2 * 9 * (side - 2 * i) ** 2 for i in (1, 2, 3))
    return Sizes(
        first,
        first + others,
        feature_size(config.image_size, channels) * features,
        hidden**2,
        hidden * (features + hidden + n_actions),
        2 * hidden * (features + n_actions + hidden + 1),
    )


def update_costs(config: TrainConfig, n_actions: int) -> Mapping[str, Cost]:
    """Costs of one update by phase.

    A linear map or convolution costs as much again for the gradient in its weights, and again for
    that in its input; the encoder's input needs none, nor the actor's and critic's features in the
    actor's update. Convolutions, trunks and hidden maps are computed in the settings' precision.
    """
    size, batch = sizes(config, n_actions), config.batch_size
    trained = _parameters(config, n_actions)
    stacks = 2 * batch * 3 * config.frame_stack * config.image_size**2
    images = batch * min(config.frame_stack + config.n_step, 2 * config.frame_stack)

    def cost(every: int, mixed: int) -> Cost:
        operations = Counter({config.precision: 2 * batch * mixed})
        return Cost(operations + Counter({"float32": 2 * batch * (every - mixed)}))

    encoder = 4 * size.encoder - size.first

    return {
        "sampling": Cost(bytes=2 * images * 3 * config.image_size**2),
        "augmentation": Cost(bytes=2 * stacks),
        "encoder": cost(encoder, mixed=encoder),
        "critic": cost(
            5 * size.trunk + size.policy + 4 * size.values, mixed=5 * size.trunk + 9 * size.hidden
        ),
        "actor": cost(
            3 * size.trunk + 3 * size.policy + 2 * size.values,
            mixed=3 * size.trunk + 7 * size.hidden,
        ),
        # Adam reads a parameter, its gradient and both moments, and writes all but the gradient.
        "optimizer": Cost(bytes=7 * FLOAT * sum(trained.values())),
        "target update": Cost(bytes=3 * FLOAT * trained["critic"]),
    }


def acting_cost(config: TrainConfig, n_actions: int) -> Cost:
    """Cost of one action: every weight of the actor read for a single image stack."""
    size = sizes(config, n_actions)
    actor = size.trunk + size.policy
    return Cost({"float32": 2 * (size.encoder + actor)}, FLOAT * actor)


def _parameters(config: TrainConfig, n_actions: int) -> dict[str, int]:
    """Trained parameters of each network, biases and LayerNorm included."""
    size, hidden, features = sizes(config, n_actions), config.hidden_dim, config.feature_dim
    trunk = size.trunk + 3 * features
    weights = config.channels * (3 * config.frame_stack + 3 * config.channels) * 9
    return {
        "encoder": weights + 4 * config.channels,
        "actor": trunk + size.policy + 2 * hidden + n_actions,
        "critic": trunk + size.values + 2 * (2 * hidden + 1),
    }
