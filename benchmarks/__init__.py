"""How fast the probe engine is, beside scikit-learn and beside what the memory allows."""
