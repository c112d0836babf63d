"""Files, output, progress and JSON, for all packages here."""
