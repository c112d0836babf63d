"""The page that a command prints for `--help`: every option, its default, and what it means."""

from __future__ import annotations

import importlib
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml
from omegaconf import OmegaConf

from ganno import plugins
from ganno.options import REQUIRED, Arguments, Option, Row, describe
from systems.command_line.arguments import NAMES, OPTIONS_OF, Override, value_of
from systems.options.experiment import AgentsSpec
from systems.ppo.config import PPOConfig

if TYPE_CHECKING:
    from systems.command_line.command import Command

WIDTH = 100
FLAGS = """
-m, --multirun: one run for each value, or combination of values: -m seed=0,1,2
--cfg job: prints the options that a command line comes to, and runs nothing
--help: this page
""".strip()
VARIABLES = """
GANNO_DATA_DIR: the folder with datasets' files
JAX_NUM_CPU_DEVICES: how many devices a CPU is; by default one for each core
HYDRA_FULL_ERROR: 1 shows where an error comes from
""".strip()


def page(command: Command, overrides: Sequence[str] = ()) -> str:
    """The help of a command that Hydra composes the options of, plugins' members included."""
    plugins.load(_plugins(overrides))
    values = _defaults(command)
    return "\n\n".join(
        [
            f"usage: python -m {command.module} [NAME=VALUE ...]",
            (importlib.import_module(command.module).__doc__ or "").strip(),
            *_section("Choices", _choices(command, values)),
            *_section("Options", _lines(_own(command), values)),
            *(part for name in command.open for part in _opened(name, values)),
            *_section("Flags", _terms(FLAGS)),
            *_section("Environment variables", _terms(VARIABLES)),
        ]
    )


def options_below(name: str) -> list[Row]:
    """Every option below one of a command's `open` ones, by its dotted name."""
    if name == "system":
        return describe(PPOConfig.options(), "system.")
    if name == "agents":
        return describe(AgentsSpec.options(), "agents.KEY.")
    if name == "logger":
        from systems.loggers import LOGGERS

        return [
            row
            for logger, make in LOGGERS.items()
            for row in describe(Arguments.of(make, ("run",)).options, f"logger.{logger}.")
        ]
    from ganno_env.registration import OPTIONS

    networks = describe(_networks(), f"{name}.network_options.")
    return describe(OPTIONS.options, f"{name}.") + networks


def _networks() -> dict[str, Option]:
    """The options of all networks, each with those that have it unless all do."""
    from ganno_env.networks import NETWORKS, options_of

    found: dict[str, Option] = {}
    having: dict[str, list[str]] = {}
    for network in NETWORKS:
        for name, option in options_of(network).options.items():
            found.setdefault(name, option)
            having.setdefault(name, []).append(network)
    return {
        name: option
        if len(having[name]) == len(NETWORKS)
        else option._replace(description=f"{option.description} (of {', '.join(having[name])})")
        for name, option in found.items()
    }


def _plugins(overrides: Sequence[str]) -> Any:
    given = [override for override in overrides if Override.of(override).name == "plugins"]
    return value_of(given[-1]) if given else ()


def _defaults(command: Command) -> Mapping[str, Any]:
    """What the options come to where none is given."""
    own = _read(command.config)
    chosen = [_read(f"{group}/{file}") for group, file in _chosen(command).items()]
    values: Any = OmegaConf.to_container(OmegaConf.merge(own, *chosen))
    return values


def _chosen(command: Command) -> dict[str, str]:
    """Each group's file that is taken by default, if there is one."""
    chosen = {k: v for entry in _read(command.config)["defaults"] if entry != "_self_"
              for k, v in entry.items()}  # fmt: skip
    return {group: chosen[group] for group in command.groups if chosen[group] != "???"}


def _read(file: str) -> dict[str, Any]:
    from systems.command_line.command import CONFIGS

    return yaml.safe_load((CONFIGS / f"{file}.yaml").read_text(encoding="utf-8")) or {}


def _own(command: Command) -> list[Row]:
    """Options that are neither choices nor opened."""
    elsewhere = {*command.choices, *command.open} - {*OPTIONS_OF}
    options = command.options.options()
    return describe({n: options[n] for n in command.names if n in options and n not in elsewhere})


def _opened(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    if name == "train_on":
        yield "Options of training environments\n  train_on.X: as env.X, of agents' training alone"
        return
    members = ""
    if name == "logger":
        from systems.loggers import LOGGERS

        members = f" (the loggers are {', '.join(LOGGERS)})"
    yield from _section(f"Options below {name}{members}", _lines(options_below(name), values))


def _choices(command: Command, values: Mapping[str, Any]) -> Iterator[str]:
    from ganno_env.datasets import DATASETS
    from ganno_env.networks import NETWORKS
    from ganno_env.registration import ENVIRONMENTS
    from systems.ppo.registry import SYSTEMS

    datasets, networks = ", ".join(DATASETS), ", ".join(NETWORKS)
    meanings = {
        "env": f"DATASET_NETWORK, of the datasets {datasets} and the networks {networks}; or an "
        f"id, {', '.join(ENVIRONMENTS)}",
        "network": f"another network on the same data: {networks}",
        "system": ", ".join(SYSTEMS),
    }
    for name in command.choices:
        default = _at(values, NAMES[name])
        yield _entry(name, "" if default is None else default, meanings[name])
    for group in command.groups:
        yield from _group(command, group)


def _group(command: Command, group: str) -> Iterator[str]:
    from systems.command_line.command import CONFIGS

    yield _entry(group, _chosen(command).get(group, ""), "one of:")
    for path in sorted((CONFIGS / group).glob("*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        comments = [line[2:] for line in lines if line.startswith("# ") and "@package" not in line]
        yield _wrapped(f"{path.stem}: {' '.join(comments)}", 6)


def _lines(rows: Iterable[Row], values: Mapping[str, Any]) -> Iterator[str]:
    for row in rows:
        value = _at(values, row.name)
        default = row.default if value is None else value
        allowed = "" if row.allowed == "anything" else row.allowed
        sentences = [
            f"{_capital(text.rstrip('.'))}." for text in (row.description, allowed) if text
        ]
        yield _entry(row.name, "" if default is REQUIRED else default, " ".join(sentences))


def _at(values: Any, name: str) -> Any:
    for part in name.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _entry(name: str, default: Any, meaning: str) -> str:
    return f"  {name}={_shown(default)}\n{_wrapped(meaning, 6)}"


def _shown(value: Any) -> str:
    """A value as it is given on a command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_shown, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_shown(v)}" for k, v in value.items()) + "}"
    return str(getattr(value, "__name__", value))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    text = "\n".join(lines)
    if text:
        yield f"{title}\n{text}"


def _terms(text: str) -> Iterator[str]:
    return (_wrapped(line, 2) for line in text.splitlines())


def _wrapped(text: str, indent: int) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
