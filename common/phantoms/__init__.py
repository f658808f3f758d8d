"""Made-up patients with a known truth: pure generators of arrays and rows, no disk.

`spec.py` says what a phantom cohort is, `cases.py` draws its cases, one file per kind
of anatomy draws the body, `scanner.py` takes its picture, `clinical.py` fills the row.
"""
