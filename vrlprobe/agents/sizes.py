"""Sizes of networks, told without torch, which takes seconds to import."""


def feature_size(image_size: int, channels: int) -> int:
    """Number of activations of cnn4 for square images: 39,200 at 84 pixels and 32 channels."""
    side = (image_size - 3) // 2 + 1 - 6
    if side < 1:
        raise ValueError(f"images of {image_size} pixels are too small: DrQ-v2 needs at least 15")
    return channels * side * side
