"""Results: labelled datasets, their files, and how they are combined."""
