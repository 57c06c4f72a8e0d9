"""Policies with a NatureCNN, their modules named as in Stable-Baselines3 and CleanRL."""

import io
import json
import zipfile
from itertools import pairwise

import torch
from torch import nn

SIZE = 44
"""Pixels: 2 x 2 are left behind the convolutions."""


def convolutions(channels=4):
    widths = [channels, 4, 6, 8]
    layers = []
    for n, (kernel, stride) in enumerate([(8, 4), (4, 2), (3, 1)]):
        layers += [nn.Conv2d(widths[n], widths[n + 1], kernel, stride=stride), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten())


def extractor(channels=4):
    linear = nn.Sequential(nn.Linear(32, 16), nn.ReLU())
    return nn.ModuleDict({"cnn": convolutions(channels), "linear": linear})


def seen(module, images):
    """What an extractor makes of images."""
    return module["linear"](module["cnn"](images.float() / 255))


def chain(*sizes, activation=nn.ReLU):
    layers = [
        layer
        for before, after in pairwise(sizes)
        for layer in (nn.Linear(before, after), activation())
    ]
    return nn.Sequential(*layers)


def dqn(hidden=()):
    net = nn.ModuleDict({"features_extractor": extractor()})
    net["q_net"] = nn.Sequential(*chain(16, *hidden), nn.Linear([16, *hidden][-1], 5))
    policy = nn.ModuleDict({"q_net": net, "q_net_target": dict_of(extractor())})
    return policy, lambda x: net["q_net"](seen(net["features_extractor"], x))


def dict_of(module):
    return nn.ModuleDict({"features_extractor": module})


def actor_critic(hidden=(), activation=nn.Tanh, box=False, apart=False, squashed=False):
    first = extractor(3)
    name = "pi_features_extractor" if apart else "features_extractor"
    policy = nn.ModuleDict(
        {
            name: first,
            "vf_features_extractor": extractor(3) if apart else first,
            "mlp_extractor": nn.ModuleDict(
                {
                    "policy_net": chain(16, *hidden, activation=activation),
                    "value_net": chain(16, 7, activation=activation),
                }
            ),
            "action_net": nn.Linear([16, *hidden][-1], 5),
            "value_net": nn.Linear(7, 1),
        }
    )
    if box:
        policy.register_parameter("log_std", nn.Parameter(torch.zeros(5)))
    latent = policy["mlp_extractor"]["policy_net"]
    squash = torch.tanh if squashed else nn.Identity()
    return policy, lambda x: squash(policy["action_net"](latent(seen(first, x))))


def sac():
    actor = nn.ModuleDict(
        {
            "features_extractor": extractor(),
            "latent_pi": chain(16, 12, 10),
            "mu": nn.Linear(10, 5),
            "log_std": nn.Linear(10, 5),
        }
    )
    policy = nn.ModuleDict({"actor": actor, "critic": dict_of(extractor())})

    def act(x):
        return torch.tanh(actor["mu"](actor["latent_pi"](seen(actor["features_extractor"], x))))

    return policy, act


def td3():
    mu = nn.Sequential(*chain(16, 12, 10), nn.Linear(10, 5), nn.Tanh())
    actor = nn.ModuleDict({"features_extractor": extractor(), "mu": mu})
    policy = nn.ModuleDict({"actor": actor, "critic": dict_of(extractor())})
    return policy, lambda x: mu(seen(actor["features_extractor"], x))


def cleanrl(ppo=False):
    layers = [*convolutions(), nn.Linear(32, 16), nn.ReLU()]
    if not ppo:
        network = nn.Sequential(*layers, nn.Linear(16, 5))
        return nn.ModuleDict({"network": network}), lambda x: network(x / 255.0)
    parts = {"network": nn.Sequential(*layers), "actor": nn.Linear(16, 5)}
    policy = nn.ModuleDict({**parts, "critic": nn.Linear(16, 1)})
    return policy, lambda x: policy["actor"](policy["network"](x / 255.0))


def save_zip(path, policy, **told):
    """A file as Stable-Baselines3 writes it; what it says of itself goes into `data`."""
    stream = io.BytesIO()
    torch.save(policy if isinstance(policy, dict) else policy.state_dict(), stream)
    told = {"policy_class": {":serialized:": "never looked at"}, "num_timesteps": 700, **told}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data", json.dumps(told))
        file.writestr("policy.pth", stream.getvalue())
    return path
