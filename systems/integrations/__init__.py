"""Other projects' packages, made to work with this one."""
