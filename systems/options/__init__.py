"""The options of commands and experiments, as Hydra's plain containers hold them.

They are read before anything slow is imported, so that a mistake is answered at once; so nothing
here imports JAX or Jumanji. What only a registry knows (the environment's options, names of methods
and loggers) is checked where the registry is.
"""
