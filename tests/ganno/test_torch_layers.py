"""The layers of PyTorch's models, by the rule of `ganno.layers`."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is an extra: pip install 'ganno[torch]'")

from ganno.torch import layer_groups  # noqa: E402

nn = torch.nn
CONVOLUTIONAL, LINEAR, ATTENTION = "convolutional", "linear", "attention"


def kinds(model, rule=None):
    return {group["name"]: group["kind"] for group in layer_groups(model, rule)}


def paths(model, name):
    (layer,) = (layer for layer in layer_groups(model).layers if layer.name == name)
    return layer.parameters


class Residual(nn.Module):
    """Two convolutions and a shortcut, as in ResNets."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.downsample = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4))


class SelfAttention(nn.Module):
    """Projections and a norm of its own, as in other libraries."""

    def __init__(self):
        super().__init__()
        self.norm, self.qkv, self.proj = nn.LayerNorm(4), nn.Linear(4, 12), nn.Linear(4, 4)


class Transformer(nn.Module):
    """Embeddings, positions, a class token, attention of three makes, a head."""

    def __init__(self):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.pos_embed = nn.Parameter(torch.zeros(1, 5, 4))
        self.tokens = nn.Embedding(10, 4)
        self.encoder = nn.TransformerEncoderLayer(4, 2, 8)
        self.mixer = SelfAttention()
        self.attn = nn.ModuleDict({"q": nn.Linear(4, 4), "out": nn.Linear(4, 4)})
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 1)


def test_convolutions_have_the_norm_after_them():
    model = nn.Sequential(Residual(), nn.Flatten(), nn.Linear(4, 2))
    names = ["0.conv1", "0.conv2", "0.downsample.0"]
    assert kinds(model) == dict.fromkeys(names, CONVOLUTIONAL) | {"2": LINEAR}
    assert paths(model, "0.conv1") == ("0.conv1.weight", "0.bn1.weight", "0.bn1.bias")


def test_attention_is_one_layer():
    model = Transformer()
    assert kinds(model) == {
        "pos_embed": LINEAR, "tokens": LINEAR, "encoder.self_attn": ATTENTION,
        "encoder.linear1": LINEAR, "encoder.linear2": LINEAR, "mixer": ATTENTION,
        "attn": ATTENTION, "head": LINEAR,
    }  # fmt: skip
    assert next(iter(kinds(model))) == "pos_embed"
    assert paths(model, "pos_embed") == ("cls_token", "pos_embed")
    assert len(paths(model, "mixer")) == 6
    assert "norm.weight" in paths(model, "attn")
    assert paths(model, "head") == ("head.weight", "head.bias")


def test_what_else_has_weights():
    model = nn.Sequential(
        nn.LSTM(3, 4, num_layers=2),
        nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 4, 3)),
        nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)),
        nn.EmbeddingBag(5, 4),
    )
    assert kinds(model) == {"0": LINEAR, "1": CONVOLUTIONAL, "2": LINEAR, "3": LINEAR}
    assert len(paths(model, "0")) == 8
    assert len(paths(model, "1")) == 3


def test_all_that_is_trained_is_in_one_group():
    model = Transformer()
    model.tokens.requires_grad_(False)
    there = [id(p) for group in layer_groups(model) for p in group["params"]]
    assert sorted(there) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_a_model_may_be_wrapped(tmp_path):
    model = Transformer()
    expected = kinds(model)
    assert kinds(torch.compile(model)) == expected
    assert kinds(nn.DataParallel(model)) == expected
    model.encoder = torch.compile(model.encoder)
    assert kinds(model) == expected
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1
    )
    try:
        assert kinds(nn.parallel.DistributedDataParallel(Transformer())) == expected
    finally:
        torch.distributed.destroy_process_group()


def test_what_cannot_be_placed_is_named():
    experts = nn.ParameterDict({"up": torch.zeros(4, 8, 8)})
    with pytest.raises(ValueError, match=r"layer 0.up is of: its shape is \[4, 8, 8\], and"):
        layer_groups(nn.Sequential(experts))
    rule = lambda name, shape: ("experts", LINEAR)  # noqa: E731
    assert kinds(nn.Sequential(experts), rule) == {"experts": LINEAR}
    with pytest.raises(ValueError, match="there are no layers"):
        layer_groups(nn.BatchNorm1d(3))
    with pytest.raises(ValueError, match=r"0\.weight has no shape yet"):
        layer_groups(nn.Sequential(nn.LazyLinear(3)))


def test_groups_print_as_a_table():
    text = str(layer_groups(nn.Sequential(nn.Linear(3, 2))))
    assert text.splitlines()[-1].split() == ["0", "linear", "8"]


@pytest.mark.parametrize(
    ("name", "number", "attention"), [("resnet18", 21, 0), ("vit_b_16", 39, 12)]
)
def test_torchvision(name, number, attention):
    models = pytest.importorskip("torchvision.models", reason="torchvision is not installed")
    with torch.device("meta"):
        found = kinds(getattr(models, name)())
    assert len(found) == number
    assert sum(kind == ATTENTION for kind in found.values()) == attention
