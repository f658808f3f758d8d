"""Writers of a site's folder: whatever a hospital has becomes `cohort.csv`."""
