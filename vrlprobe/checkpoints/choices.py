"""What can be said of a plain state dict, in words: the networks take seconds to import."""

from vrlprobe.runs.architectures import installed

ARCHITECTURES = installed()
ACTIVATIONS = ("relu", "leaky_relu", "tanh")
