"""DeepMind Control Suite tasks from pixels, and the recording of their episodes."""
