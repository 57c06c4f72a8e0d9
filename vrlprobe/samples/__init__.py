"""The observations and states that compared probes share."""
