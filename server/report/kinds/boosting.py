"""Boosted trees: which columns they lean on."""

from server.report.kinds.forest import blocks

__all__ = ["blocks"]
