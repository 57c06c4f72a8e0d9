"""Every setting of a run: what it may be, the profiles it starts from, and its option."""
