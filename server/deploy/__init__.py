"""From a study and a roster to processes that talk over TLS, and back to nothing."""
