"""Architectures: one file each, with its table of named layers."""
