"""The analyses a study can name: one file each, listed here once."""

from common.analyses.describe import Describe

ANALYSES = (Describe,)
