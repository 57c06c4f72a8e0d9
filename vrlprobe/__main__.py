"""`python -m vrlprobe`."""

from vrlprobe.cli.main import main

main()
