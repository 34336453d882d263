"""Operators that ask before something is lost."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import fiftyone.operators.types as types

from ..similarity.data.locks import Busy
from ..similarity.handover_options import SplitOptions
from ..similarity.options import RunOptions, WriteRunOptions
from ..similarity.steps.plans import Unconfirmed
from . import form
from .base import StepOperator


class AskingOperator(StepOperator):
    """An operator that asks only where something would be lost.

    Attributes:
        refuse: ``refuse(samples, options)``; raises an error with the plan's name if something would be lost
    """

    refuse: ClassVar[Callable[..., Any]]

    def add_plan(self, inputs: types.Object, samples: Any, options: WriteRunOptions | SplitOptions) -> None:
        """Add the loss and the box that confirms it, if there is one."""
        try:
            self.refuse(samples, dataclasses.replace(options, confirm=False, plan=None))
        except Unconfirmed as loss:
            form.add_confirmation(inputs, options, loss.plan, str(loss))


class PlannedOperator(StepOperator):
    """An operator that changes nothing before a person has seen its plan, which the form makes from records and counts."""

    def add_plan(self, inputs: types.Object, samples: Any, options: RunOptions) -> None:
        """Add the plan and the box that confirms it; while another operator is at work, say so."""
        try:
            form.add_confirmation(inputs, options, *self.plan(samples, options))
        except Busy as error:
            inputs.view("plan_words", types.Warning(label=str(error)))

    def plan(self, samples: Any, options: RunOptions) -> tuple[str, str]:
        """Return the plan's name, as the step knows it, and its summary."""
        raise NotImplementedError
