"""Agents in PyTorch's training loops: a param group for each layer, and a scheduler of their rates.

groups = ganno.torch.layer_groups(model)
optimizer = torch.optim.AdamW(groups, lr=1e-3)
scheduler = ganno.torch.GannoLR(optimizer, model, total_steps=600)
...  # for each batch: loss.backward(), optimizer.step()
scheduler.step()
"""

from ganno.extras import require

require("torch", "torch")

from ganno.torch.groups import LayerGroups, layer_groups  # noqa: E402  (after what it needs)
from ganno.torch.scheduler import GannoLR  # noqa: E402

__all__ = ["GannoLR", "LayerGroups", "layer_groups"]
