"""The run file: one HDF5 file for one training, safe to follow, to kill and to open."""
