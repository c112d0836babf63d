"""A run that is made up, and what is logged of it."""

from systems.loggers import Run


def make_run(folder, first_update=0):
    return Run(
        name="try", folder=folder, system="rec_ippo", environment="toy", seed=3,
        config={"gamma": 0.99}, num_updates=3, timesteps_per_update=10, first_update=first_update,
    )  # fmt: skip


def record(update, **figures):
    return {"update": update, "env_steps": 10 * update, "seconds": 1.5 * update, **figures}
