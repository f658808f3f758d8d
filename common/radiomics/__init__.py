"""What radiomic features are called and how an extraction is declared."""
