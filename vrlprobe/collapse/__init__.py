"""Action collapse: indicators, phases and verdicts, the reset rule, the monitor."""
