"""What a site does with its cases, and what it lets out."""
