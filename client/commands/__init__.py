"""The commands of `consortium site`, a file each."""
