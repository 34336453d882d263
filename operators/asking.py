"""Operators that ask before they take something away."""

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
    """An operator that asks before it takes something away, and otherwise does not.

    Attributes:
        refuse: called with samples and options; raises an error with the plan's name where there is something to lose
    """

    refuse: ClassVar[Callable[..., Any]]

    def add_plan(self, inputs: types.Object, ctx, options: WriteRunOptions | SplitOptions) -> None:
        """Add what would be lost, and the box that confirms it; nothing where nothing would be."""
        asked = dataclasses.replace(options, confirm=False, plan=None)
        try:
            self.refuse(ctx.target_view(), asked)
        except Unconfirmed as loss:
            form.add_confirmation(inputs, options, loss.plan, str(loss))
        except ValueError as error:
            inputs.view("plan_words", types.Warning(label=str(error)))


class PlannedOperator(StepOperator):
    """An operator that changes nothing before a person has seen its plan.

    The form looks at records and counts alone, so it is quick; the step checks every sample.
    """

    def add_plan(self, inputs: types.Object, ctx, options: RunOptions) -> None:
        """Add the plan and the box that confirms it; where there is none, the reason."""
        ctx.dataset.reload()  # another process may have done the run again
        try:
            form.add_confirmation(inputs, options, *self.plan(ctx, options))
        except (ValueError, Busy) as error:
            inputs.view("plan_words", types.Warning(label=str(error)))

    def plan(self, ctx, options: RunOptions) -> tuple[str, str]:
        """The plan's name, as the step knows it, and its numbers."""
        raise NotImplementedError
