"""Runs under any controller, and what tables and pictures are made of them."""

from ganno_env.evaluation.controller import (
    Controller,
    policy_controller,
    random_controller,
    schedule_controller,
)
from ganno_env.evaluation.definition import define
from ganno_env.evaluation.methods import METHODS, Method, NotAvailableError, make_method
from ganno_env.evaluation.planning import RunSpec
from ganno_env.evaluation.rollout import GridRunner
from ganno_env.evaluation.rows import add_rate_free, add_scheduled
from ganno_env.evaluation.tables import Result, markdown, summarise

__all__ = [
    "METHODS",
    "Controller",
    "GridRunner",
    "Method",
    "NotAvailableError",
    "Result",
    "RunSpec",
    "add_rate_free",
    "add_scheduled",
    "define",
    "make_method",
    "markdown",
    "policy_controller",
    "random_controller",
    "schedule_controller",
    "summarise",
]
