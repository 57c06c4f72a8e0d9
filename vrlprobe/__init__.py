"""vrlprobe: what agents trained from pixels represent, where, and whether they are stuck."""
