"""Which runs of a grid are made together, where, and in what order."""

from __future__ import annotations

from collections import Counter
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ganno_env.evaluation import GridRunner, RunSpec, programs, random_controller
from ganno_env.evaluation import schedule_controller as schedule
from ganno_env.evaluation.planning import UNCHANGED, Variant, Work, plan
from ganno_env.evaluation.rollout import QUICK_TO_COMPILE
from ganno_env.optimisers import build
from tests.small import small_env

CONTROLLERS = (schedule("constant"), schedule("cosine"), random_controller())
VARIANTS = (UNCHANGED, Variant(build("lion")))
runs = st.builds(
    RunSpec,
    controller=st.sampled_from(CONTROLLERS),
    learning_rate=st.just(1e-3),
    weight_decay=st.just(0.1),
    seed=st.just(0),
    variant=st.sampled_from(VARIANTS),
)


@given(st.lists(runs, min_size=1, max_size=30), st.none() | st.integers(1, 9), st.integers(1, 4))
def test_every_run_is_in_one_batch_with_its_like(specs, at_once, devices):
    batches = plan(specs, at_once, devices)
    assert Counter(n for batch in batches for n in batch.numbers) == Counter(range(len(specs)))
    for batch in batches:
        assert 1 <= len(batch.numbers) <= batch.size
        assert batch.size * devices < (at_once or len(specs)) + devices
        for number in batch.numbers:
            assert specs[number].variant == batch.group.variant
            assert specs[number].controller.decide == batch.group.decide
    for group in {batch.group for batch in batches}:
        assert len({batch.size for batch in batches if batch.group == group}) == 1, "compiled once"


@given(st.lists(runs, min_size=1, max_size=30), st.integers(1, 4))
def test_each_groups_first_batch_is_before_all_others(specs, at_once):
    batches = plan(specs, at_once, 2)
    groups = {batch.group for batch in batches}
    assert {batch.group for batch in batches[: len(groups)]} == groups


@given(st.lists(runs, min_size=1, max_size=30), st.lists(st.integers(0, 2), max_size=90))
def test_devices_take_every_batch_once_and_compile_no_more_than_they_must(specs, turns):
    batches = plan(specs, 2, 2)
    work, compiled = Work(batches), [set() for _ in range(3)]
    taken = []
    for device in [*turns, *[0] * len(batches)]:
        others = {group for of in compiled for group in of}
        batch = work.take(compiled[device])
        if batch is None:
            continue
        left = [other for other in batches if other not in taken]
        taken.append(batch)
        if batch.group not in compiled[device]:
            untouched = {other.group for other in left} - others
            own = [other for other in left if other.group in compiled[device]]
            assert batch.group in untouched or not (untouched or own)
        compiled[device].add(batch.group)
    assert Counter(taken) == Counter(batches)
    assert work.take(set()) is None


def test_schedules_share_a_group():
    specs = [RunSpec(schedule(name), 1e-3, 0.1, 0) for name in ("constant", "cosine", "sgdr")]
    assert [batch.numbers for batch in plan(specs, 2, 1)] == [(0, 1), (2,)]


def test_where_there_is_no_run_nothing_is_done():
    env = small_env(network="mlp")
    quick = partial(jax.jit, compiler_options=QUICK_TO_COMPILE)
    values = {"learning_rate": jnp.full((2, env.updates_per_step, env.num_layers), 1e-2)}
    actions = jnp.zeros((2, env.num_agents), jnp.int32)
    keys = jax.random.split(jax.random.PRNGKey(0), 2)
    state, _ = quick(jax.vmap(env.reset))(keys)
    after, _ = quick(jax.vmap(partial(programs.train, env)))(
        jnp.array([False, True]), state, values, actions
    )
    for now, before in zip(jax.tree.leaves(after), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(now[0], before[0])
    assert after.inner.num_updates.tolist() == [0, env.updates_per_step]


def test_the_host_is_ahead_and_nothing_is_kept_back_for_long(monkeypatch):
    monkeypatch.setattr(GridRunner, "num_devices", 1)
    runner = GridRunner(small_env(network="mlp"), runs_at_once=2)
    specs = [RunSpec(CONTROLLERS[0], 1e-3, 0.01, seed) for seed in range(5)]
    steps = runner.env.time_limit
    done = []
    seen = [len(done) for _ in runner.iterate(specs, done.append)]
    assert seen == [steps, steps, 2 * steps, 2 * steps, 3 * steps]
    assert [step.compiled for step in done] == [True, *[False] * (3 * steps - 1)]
    given_to_devices = []
    made = runner._episodes
    runner._episodes = lambda *args: (given_to_devices.append(None) or x for x in made(*args))
    ahead = []
    for _ in runner.iterate(specs, lambda step: ahead.append(len(given_to_devices) - len(ahead))):
        pass
    assert max(ahead) > 1, "devices never wait for the host"


def test_several_devices_make_what_one_does(monkeypatch):
    specs = [RunSpec(CONTROLLERS[i % 3], 1e-3, 0.01, i) for i in range(5)]
    both = GridRunner(small_env(network="mlp"), runs_at_once=2).run(specs)
    monkeypatch.setattr(GridRunner, "num_devices", 1)
    one = GridRunner(small_env(network="mlp"), runs_at_once=2).run(specs)
    for a, b in zip(both, one, strict=True):
        jax.tree.map(np.testing.assert_array_equal, *({**vars(x), "seconds": 0} for x in (a, b)))
