"""Radiomic features of one region, with PyRadiomics' numbers and names."""
