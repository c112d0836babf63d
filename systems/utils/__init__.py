"""What every package here stands on: files, output, progress, JSON."""
