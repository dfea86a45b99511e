"""What a report shows, and the files that show it."""
