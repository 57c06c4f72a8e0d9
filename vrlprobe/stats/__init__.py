"""Statistics over runs: bootstrap, exact tests, survival curves, thresholds."""
