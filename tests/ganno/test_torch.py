"""Agents as a scheduler of PyTorch's: what they see of each optimiser, keep and refuse."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is an extra: pip install 'ganno[torch]'")

import ganno.torch  # noqa: E402
from ganno.torch.measures import Observer  # noqa: E402
from tests.ganno.policies import observing  # noqa: E402
from tests.ganno.traced import DECAY, EPSILON, RATE, golden  # noqa: E402

nn = torch.nn
STEPS = 31 * 2


def model_of(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 2))


def batch(i):
    random = torch.Generator().manual_seed(1000 + i)
    return torch.randn(16, 4, generator=random), torch.randint(0, 2, (16,), generator=random)


def backward(model, optimizer, i, scale=1.0):
    inputs, targets = batch(i)
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(inputs), targets) * scale
    loss.backward()
    return loss


def training(seed=0, optimizer=torch.optim.AdamW, options=None, **changes):
    """A model, its optimiser and its scheduler."""
    model = model_of(seed)
    made = optimizer(ganno.torch.layer_groups(model), **({"lr": RATE} | (options or {})))
    return model, made, ganno.torch.GannoLR(made, model, **({"total_steps": STEPS} | changes))


def run(model, optimizer, scheduler, numbers):
    for i in numbers:
        backward(model, optimizer, i)
        optimizer.step()
        scheduler.step()
    return scheduler.history


def test_pytorch_goes_the_way_of_the_environment():
    """Every feature, action and rate of a whole training: see `tests.ganno.traced`."""
    then = golden()
    weights = {name: torch.tensor(x) for name, x in then.items() if name.startswith("weights/")}
    convolution, linear = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(64, 10)
    with torch.no_grad():
        kernel = weights["weights/convolution_0/kernel"]
        convolution.weight.copy_(kernel.permute(3, 2, 0, 1))
        convolution.bias.copy_(weights["weights/convolution_0/bias"])
        linear.weight.copy_(weights["weights/linear/kernel"].T)
        linear.bias.copy_(weights["weights/linear/bias"])
    model = nn.Sequential(convolution, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), linear)
    groups = ganno.torch.layer_groups(model)
    optimizer = torch.optim.AdamW(groups, lr=RATE, weight_decay=DECAY, eps=EPSILON)
    scheduler = ganno.torch.GannoLR(optimizer, model, total_steps=len(then["batches"]))
    images = torch.tensor(then["inputs"]).permute(0, 3, 1, 2)
    targets = torch.tensor(then["targets"].astype(np.int64))
    for indices in then["batches"].astype(np.int64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[indices]), targets[indices]).backward()
        optimizer.step()
        scheduler.step()
    history = scheduler.history
    np.testing.assert_allclose(history.features, then["features"], atol=1e-4)
    np.testing.assert_array_equal(history.actions, then["actions"])
    np.testing.assert_array_equal(history.rates, then["rates"])


KNOWN = {
    "adam": (torch.optim.Adam, {}),
    "adam, amsgrad": (torch.optim.Adam, {"amsgrad": True, "weight_decay": 0.1}),
    "adam, maximize": (torch.optim.Adam, {"maximize": True, "weight_decay": 0.1}),
    "adamw": (torch.optim.AdamW, {"weight_decay": 0.3}),
    "adamw, maximize": (torch.optim.AdamW, {"weight_decay": 0.3, "maximize": True}),
    "adamw, fused": (torch.optim.AdamW, {"weight_decay": 0.3, "fused": True}),
    "adamw, foreach": (torch.optim.AdamW, {"weight_decay": 0.3, "foreach": True}),
    "adamw, tensor": (torch.optim.AdamW, {"weight_decay": 0.3, "lr": torch.tensor(0.02)}),
    "sgd": (torch.optim.SGD, {"weight_decay": 0.1}),
    "sgd, maximize": (torch.optim.SGD, {"weight_decay": 0.1, "maximize": True}),
    "sgd, momentum": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
    "sgd, dampened": (torch.optim.SGD, {"momentum": 0.9, "dampening": 0.5}),
    "sgd, nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "rmsprop": (torch.optim.RMSprop, {"weight_decay": 0.1}),
    "rmsprop, centred": (torch.optim.RMSprop, {"centered": True, "weight_decay": 0.1}),
    "rmsprop, momentum": (torch.optim.RMSprop, {"momentum": 0.5, "weight_decay": 0.1}),
    "rmsprop, maximize": (torch.optim.RMSprop, {"maximize": True}),
}


@pytest.mark.parametrize("case", KNOWN)
def test_updates_are_rebuilt_as_they_are_made(case):
    """Foreseen before the first one, and found again after each; in double precision."""
    kind, options = KNOWN[case]
    model = model_of().double()
    optimizer = kind(ganno.torch.layer_groups(model), **({"lr": 0.02} | options))
    observer = Observer(optimizer, ganno.torch.directions.DIRECTIONS[kind])
    needs = ("update_norm", "update_mean", "gradient_norm")
    for i in range(4):
        inputs, targets = batch(i)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs.double()), targets).backward()
        observer.before_update(due=True)
        foreseen = observer.observe(needs, made=False) if i == 0 else None
        before = [[p.detach().clone() for p in g["params"]] for g in optimizer.param_groups]
        optimizer.step()
        found = observer.observe(needs, made=True)
        for layer, group in enumerate(optimizer.param_groups):
            pairs = zip(before[layer], group["params"], strict=True)
            moved = torch.cat([((b - p.detach()) / 0.02).flatten() for b, p in pairs])
            expected = moved.norm().item(), moved.mean().item()
            for seen in filter(None, (found, foreseen)):
                values = seen["update_norm"][layer], seen["update_mean"][layer]
                np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6)
            slopes = torch.cat([p.grad.flatten() for p in group["params"]])
            np.testing.assert_allclose(found["gradient_norm"][layer], slopes.norm(), rtol=1e-5)


class Lamb(torch.optim.Optimizer):
    """Sign descent, each parameter's step scaled to its norm: an optimiser that is not known."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * p.norm() * p.grad.sign() / p.numel() ** 0.5


def test_any_update_is_found_by_the_difference_of_weights():
    with pytest.raises(ValueError, match=r"updates of Lamb are not known .* direction='differ"):
        training(optimizer=Lamb)
    policy = observing("update_norm")
    parts = training(optimizer=Lamb, direction="difference", every=2, policy=policy)
    history = run(*parts, range(1))
    norms = [p.norm().item() for p in model_of().parameters()]
    expected = np.linalg.norm(norms[:4]), np.linalg.norm(norms[4:])
    np.testing.assert_allclose(history.features[0, :, 0], expected, rtol=1e-3)
    assert len(run(*parts, range(1, 7))) == 4
    by_difference = run(*training(direction="difference", policy=policy, every=1), range(6))
    rebuilt = run(*training(policy=policy, every=1), range(6))
    # The first decision waits for an update, so that rates and weights differ from then on.
    np.testing.assert_allclose(by_difference.features[0], rebuilt.features[0], rtol=1e-3)
    with pytest.raises(ValueError, match="rates above 0"):
        training(optimizer=Lamb, direction="difference", options={"lr": 0.0})
    with pytest.raises(ValueError, match=r"direction='diference'; .*\(did you mean 'difference'"):
        training(direction="diference")


def test_a_direction_may_be_a_function():
    policy = observing("update_norm")
    parts = training(optimizer=Lamb, direction=lambda p: torch.ones_like(p.weights), policy=policy)
    history = run(*parts, range(1))
    np.testing.assert_allclose(history.features[0, :, 0] ** 2, [42, 14], rtol=1e-5)


def test_nothing_moves_before_the_first_update():
    model, optimizer, scheduler = training(options={"lr": 0.5})
    assert scheduler.get_last_lr() == [0.5, 0.5]
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5]
    assert scheduler.last_epoch == 0
    assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)
    backward(model, optimizer, 0)
    optimizer.step()  # the first decision is taken in it
    assert max(scheduler.get_last_lr()) <= np.float32(0.01)
    assert scheduler.get_last_lr() == [group["lr"] for group in optimizer.param_groups]
    assert len(scheduler.history) == 1


def test_with_a_closure_the_first_decision_comes_after_the_first_update():
    model, optimizer, scheduler = training()

    def closure():
        return backward(model, optimizer, 0)

    optimizer.step(closure)
    assert len(scheduler.history) == 0
    scheduler.step()
    np.testing.assert_allclose(scheduler.history.progress, [1 / STEPS])
    run(model, optimizer, scheduler, range(1, STEPS))
    assert len(scheduler.history) == 31


def test_between_decisions_nothing_is_measured(monkeypatch):
    model, optimizer, scheduler = training()
    run(model, optimizer, scheduler, range(1))
    monkeypatch.setattr(Observer, "observe", lambda *_: pytest.fail("it was measured"))
    with pytest.raises(pytest.fail.Exception):
        run(model, optimizer, scheduler, range(1, 2))
    model, optimizer, scheduler = training(every=5)
    monkeypatch.undo()
    run(model, optimizer, scheduler, range(1))
    monkeypatch.setattr(Observer, "observe", lambda *_: pytest.fail("it was measured"))
    run(model, optimizer, scheduler, range(1, 4))


def test_rates_that_are_tensors_are_filled():
    """One for each layer, though the optimiser is given one for all."""
    parts = training(options={"lr": torch.tensor(RATE)}, greedy=False)
    groups = parts[1].param_groups
    before = [group["lr"] for group in groups]
    history = run(*parts, range(9))
    assert all(group["lr"] is x for group, x in zip(groups, before, strict=True))
    np.testing.assert_array_equal([x.item() for x in before], history.rates[-1])
    plain = run(*training(greedy=False), range(9))
    np.testing.assert_array_equal(history.rates, plain.rates)
    assert (plain.rates[:, 0] != plain.rates[:, 1]).any()


@pytest.mark.parametrize("first", ["optimizer", "scheduler"])
@pytest.mark.parametrize("between", [False, True], ids=["after a step", "between both steps"])
@pytest.mark.parametrize("momentum", [None, 0.9, 0.0], ids=["AdamW", "SGD", "plain SGD"])
def test_a_restored_run_goes_on_as_if_never_stopped(first, between, momentum):
    """Bit for bit, whichever is restored first; also from between the optimiser's step and ours."""
    kind = torch.optim.AdamW if momentum is None else torch.optim.SGD
    options = {} if momentum is None else {"momentum": momentum}
    made = {"optimizer": kind, "options": options, "every": 4, "greedy": False}
    whole = training(**made)
    expected = run(*whole, range(25))
    model, optimizer, scheduler = training(**made)
    run(model, optimizer, scheduler, range(11))
    if between:  # a decision is due in the scheduler's next step
        backward(model, optimizer, 11)
        optimizer.step()
    file = io.BytesIO()
    states = {"optimizer": optimizer, "scheduler": scheduler, "model": model}
    torch.save({name: part.state_dict() for name, part in states.items()}, file)
    saved = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    resumed = dict(zip(("model", "optimizer", "scheduler"), training(seed=1, **made), strict=True))
    for name in (first, *({"model", "optimizer", "scheduler"} - {first})):
        resumed[name].load_state_dict(saved[name])
    assert resumed["scheduler"].get_last_lr() == scheduler.get_last_lr()
    if between:
        if momentum == 0.0:  # which keeps nothing: gradients are part of where it was
            for p, q in zip(resumed["model"].parameters(), model.parameters(), strict=True):
                p.grad = q.grad.clone()
        resumed["scheduler"].step()
    found = run(*resumed.values(), range(11 + between, 25))
    for name in ("progress", "features", "actions", "rates"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for a, b in zip(resumed["model"].parameters(), whole[0].parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_state_of_another_model_is_refused():
    model = nn.Linear(4, 2)
    optimizer = torch.optim.AdamW(ganno.torch.layer_groups(model))
    state = ganno.torch.GannoLR(optimizer, model, STEPS).state_dict()
    with pytest.raises(ValueError, match=r"of 1 layers, and there are 2 here; .* here alone: 0, 3"):
        training()[2].load_state_dict(state)


def test_groups_that_change_are_refused():
    model, optimizer, scheduler = training()
    run(model, optimizer, scheduler, range(1))
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2, 2))], "name": "new"})
    backward(model, optimizer, 1)
    optimizer.step()
    with pytest.raises(ValueError, match="has 3 param groups, and there were 2"):
        scheduler.step()


@pytest.mark.parametrize("options", [{}, {"fused": True}], ids=["plain", "fused"])
@pytest.mark.parametrize("skipped", [0, 5], ids=["the first", "a later"])
def test_updates_that_a_grad_scaler_skips_are_waited_out(options, skipped):
    """No decision is taken of gradients that are not finite, and no rate is lowered by them."""
    policy = observing("gradient_norm", "update_norm")
    parts = training(options=options, policy=policy, every=3)
    model, optimizer, scheduler = parts
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, of a step that was skipped
        for i in range(8):
            factor = float("inf") if i == skipped else 1.0
            backward(model, optimizer, i, scale=scaler.scale(torch.tensor(factor)))
            scaler.step(optimizer)
            scaler.update()
            scheduler.step()
    history = scheduler.history
    assert (history.actions >= 0).all()
    times = [1, 3, 6] if skipped == 0 else [0, 3, 7]
    assert [round(x * STEPS) for x in history.progress] == times
    unscaled = run(*training(policy=policy, every=3), range(4))
    if skipped:
        np.testing.assert_allclose(history.features[:2], unscaled.features, rtol=1e-4)


def test_frozen_shared_and_unused_parameters():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(10, 4)
            self.frozen = nn.Linear(4, 4).requires_grad_(False)
            self.head = nn.Linear(4, 10, bias=False)
            self.head.weight = self.embedding.weight
            self.unused = nn.Linear(3, 3)
            self.body = nn.Linear(4, 4)

        def forward(self, x):
            return self.head(self.frozen(self.body(self.embedding(x))))

    model = Model()
    groups = ganno.torch.layer_groups(model)
    assert [group["name"] for group in groups] == ["embedding", "unused", "body"]
    optimizer = torch.optim.AdamW(groups)
    scheduler = ganno.torch.GannoLR(optimizer, model, STEPS)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.arange(10)).logsumexp(-1).sum().backward()
        optimizer.step()
        scheduler.step()
    assert np.isfinite(scheduler.history.features).all()
    assert (scheduler.history.actions >= 0).all()
    column = scheduler.history.feature_names.index("log_trust_ratio")
    np.testing.assert_array_equal(scheduler.history.features[:, 1, column], 0)  # a ratio of 1


def test_what_the_loop_knows_is_asked_for_at_decisions():
    policy = observing("train_loss", "log_weight_norm", "weight_decay")
    with pytest.raises(ValueError, match=r"observes train_loss, .* say metrics={'train_loss': a"):
        training(policy=policy)
    losses = iter([torch.tensor(0.5), 0.25])
    parts = training(policy=policy, every=3, metrics={"train_loss": lambda: next(losses)})
    seen = run(*parts, range(5)).features
    np.testing.assert_allclose(seen[:, :, 0], [[0.5, 0.5], [0.25, 0.25]])
    np.testing.assert_allclose(seen[:, :, 2], 0.01)


def test_a_loss_that_is_not_finite_lowers_rates():
    parts = training(
        policy=observing("train_loss"), every=1, metrics={"train_loss": lambda: float("nan")},
        bounds=(1e-6, 1.0),
    )  # fmt: skip
    rates = run(*parts, range(2)).rates
    np.testing.assert_allclose(rates, np.array([[1e-4], [1e-5], [1e-6]]) * np.ones(2), rtol=1e-5)


def test_beyond_the_last_update_rates_stay_with_one_warning():
    parts = training(total_steps=31)
    last = run(*parts, range(31)).rates[-1]
    with pytest.warns(UserWarning, match="beyond total_steps=31; rates stay as they are") as caught:
        run(*parts, range(31, 35))
    assert len(caught) == 1
    np.testing.assert_array_equal(parts[2].get_last_lr(), last)
    assert len(parts[2].history) == 31


def test_actions_are_replayed():
    first = run(*training(greedy=False, seed=4), range(20))
    second = run(*training(seed=1, replay=first), range(20))
    np.testing.assert_array_equal(first.rates, second.rates)


def test_mistakes_are_named():
    model, optimizer, scheduler = training()
    with pytest.raises(ValueError, match="no update was made yet"):
        scheduler.step()
    with pytest.raises(ValueError, match="without epoch"):
        scheduler.step(3)
    with pytest.raises(ValueError, match="fewer than 31 decisions"):
        ganno.torch.GannoLR(optimizer, model, 30)
    with pytest.raises(ValueError, match=r"1 param groups are not layers .*layer_groups\(model\)"):
        ganno.torch.GannoLR(torch.optim.AdamW(model.parameters()), model, STEPS)
    with pytest.raises(ValueError, match=r"does not train 0.weight; build"):
        ganno.torch.GannoLR(optimizer, model_of(), STEPS)
    model, optimizer, scheduler = training(
        optimizer=torch.optim.SGD, policy=observing("update_norm")
    )
    run(model, optimizer, scheduler, range(1))
    backward(model, optimizer, 1)
    optimizer.step()
    optimizer.zero_grad()
    with pytest.raises(ValueError, match=r"gradients are gone: call step\(\) before"):
        scheduler.step()
