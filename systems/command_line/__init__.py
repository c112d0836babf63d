"""From a command line to checked options, and the page of --help."""
