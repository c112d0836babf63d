"""What other people's packages need to work with this one."""
