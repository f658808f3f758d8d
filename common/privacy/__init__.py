"""Fixed-point encoding, pairwise masks, signatures."""
