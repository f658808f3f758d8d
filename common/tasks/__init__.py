"""What a network learns, and the steps about it: settings of study files, no torch."""
