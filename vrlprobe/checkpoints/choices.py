"""What can be said of a plain state dict, in words: the networks take seconds to import."""

ARCHITECTURES = ("drqv2", "nature")
ACTIVATIONS = ("relu", "leaky_relu", "tanh")
