"""Networks and losses: torch modules only, without in-place operations."""
