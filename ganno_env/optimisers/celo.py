"""Celo, the learned optimiser of Moudgil et al. (2025), in amoudgl/celo.

A small network, the same for every parameter, makes a direction of gradients' moments, in units of
the tensor's root mean square; an LSTM scales it, by the fraction of the run that is over and by how
the loss goes. It was trained on four small image classifiers, in runs of up to 2,000 updates.
"""

from __future__ import annotations

from ganno_env.optimisers.learned import LearnedOptimiser

CELO = LearnedOptimiser(
    name="Celo",
    module="celo.optimizers.celo",
    model="Celo",
    # Where these are not the class's own defaults, by the authors' `get_optimizer("celo")`.
    options={"lstm_hidden_size": 64, "param_inits": 1, "train_phase": 2},
    install=(
        ".venv/bin/python -m pip install --no-deps --ignore-requires-python "
        "-r requirements-celo.txt"
    ),
    source=(
        "https://github.com/amoudgl/celo/raw/66d976116f39da286951f0c5e0a18eee8d1fd66b/"
        "algoperf/submissions/celo/theta.state"
    ),
)
