"""How a mask is scored against another: numpy and scipy only."""
