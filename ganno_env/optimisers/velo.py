"""VeLO, the learned optimiser of Metz et al. (2022), in google/learned_optimization itself."""

from __future__ import annotations

from ganno_env.optimisers.learned import LearnedOptimiser

VELO = LearnedOptimiser(
    name="VeLO",
    module="learned_optimization.research.general_lopt.hyper_v2",
    model="HyperV2",
    # By the config that is with the weights.
    options={"lstm_hidden_size": 512, "param_inits": 256, "use_bugged_loss_features": False},
    install=".venv/bin/python -m pip install --no-deps -r requirements-velo.txt",
    source=(
        "gs://gresearch/learned_optimization/pretrained_lopts/"
        "aug12_continue_on_bigger_2xbs_200kstep_bigproblem_v2_5620/params"
    ),
    # Beyond this the library accumulates gradients: VeLO was not trained for longer runs.
    max_updates=150_000,
)
