"""What everything else stands on and that imports in no time: neither JAX nor Jumanji."""
