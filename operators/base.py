"""The base of every operator: form, target, execution mode, progress, output, and the call from Python."""

import os
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..similarity.data.locks import Busy
from ..similarity.engine.vgg16 import WeightsUnavailable
from ..similarity.options import Options
from ..similarity.progress import Report, throttled
from ..similarity.result import Result
from . import form, output
from .stream import stream
from .terminal import TerminalProgress

RECORD_INTERVAL = 2.0  # seconds between two progress writes of a delegated run
EXPECTED = (ValueError, Busy, WeightsUnavailable)  # errors that explain themselves


class StepOperator(foo.Operator):
    """A step that a person can click, and call.

    A concrete operator declares what it is; its docstring is its description.

    Attributes:
        label: what the App lists it as
        icon: a Material icon's name
        options: the options class of the step
        step: ``step(samples, options, report) -> result``
        risk: ``"low"``, ``"medium"``, ``"high"``: FiftyOne's risk level
        targets: whether the form offers dataset, view and selection; False for steps that search in the current view
        selects: whether the step takes the selected samples as ``selected=``
        asks: names of the options that the form asks for at once; None = all that are not marked advanced
        opens_view: whether the App opens the result's view afterwards
        in_passing: whether the grid itself shows the result: then nothing is laid over it, and the words pass by
        button: title of a button over the grid, or None
        button_asks: whether the button opens the form. The App looks up to 2.5 seconds late what a button does, so what
            depends on the selection is decided when the operator is executed
    """

    name: ClassVar[str]
    label: ClassVar[str]
    icon: ClassVar[str]
    options: ClassVar[type[Options]]
    step: ClassVar[Callable[..., Result]]
    risk: ClassVar[str] = "low"
    targets: ClassVar[bool] = True
    selects: ClassVar[bool] = False
    asks: ClassVar[tuple[str, ...] | None] = None
    opens_view: ClassVar[bool] = False
    in_passing: ClassVar[bool] = False
    button: ClassVar[str | None] = None
    button_asks: ClassVar[bool] = True

    @property
    def config(self) -> foo.OperatorConfig:
        """What FiftyOne needs to know about the operator."""
        return foo.OperatorConfig(
            name=self.name,
            label=self.label,
            description=(self.__doc__ or "").strip().splitlines()[0],
            icon=self.icon,
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            resolve_execution_options_on_change=False,
            risk_level=self.risk,
            view_target=self.targets,
        )

    def resolve_placement(self, ctx) -> types.Placement | None:
        """A button over the grid, for the operators that have one."""
        if self.button is None:
            return None
        button = types.Button(label=self.button, icon=self.icon, prompt=self.button_asks)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)

    def resolve_input(self, ctx) -> types.Property:
        """The form, from the options."""
        inputs = types.Object()
        if self.targets:
            ctx.target_view()  # opts the form into FiftyOne's choice of dataset, view and selection
        self.add_to_form(inputs, ctx)
        form.add_options(inputs, self.options, ctx, self.asks)
        form.add_problem(inputs, self.options, ctx.params)
        return types.Property(inputs, view=types.View(label=self.label))

    def add_to_form(self, inputs: types.Object, ctx) -> None:
        """Add what is not an option; nothing by default."""

    def execute(self, ctx) -> Any:
        """Run the step: streamed with progress, or in a delegated worker with its result as the run's record."""
        options = form.read_options(self.options, ctx.params)
        arguments = self.arguments(ctx)
        if ctx.delegated:
            result = type(self).step(self.samples(ctx), options, _to_run_record(ctx), **arguments)
            return output.values(result)
        return self._streamed(
            ctx, lambda report: type(self).step(self.samples(ctx), options, report, **arguments)
        )

    def samples(self, ctx) -> Any:
        """The samples that the step works on."""
        return ctx.target_view() if self.targets else ctx.view

    def arguments(self, ctx) -> dict[str, Any]:
        """Arguments of the step beside samples, options and report."""
        return {"selected": list(ctx.selected)} if self.selects else {}

    def _streamed(self, ctx, work: Callable[[Report], Result]) -> Iterator[Any]:
        try:
            for kind, value in stream(work):
                if kind == "result":
                    yield from self._finish(ctx, value)
                elif not self.in_passing:  # the App closes a progress bar only for an output
                    what, done, total = value
                    yield ctx.ops.set_progress(label=what, progress=done / max(total, 1))
        except EXPECTED as error:
            if not in_app():
                raise
            # an error would only break the stream: the App has its headers already
            yield ctx.ops.show_output(*output.failure(error))

    def _finish(self, ctx, result: Result) -> Iterator[Any]:
        yield ctx.ops.reload_dataset()
        view = getattr(result, "view", None)
        if self.opens_view and view is not None:
            # not by name: the App looks for it among the saved views that it listed before this run
            yield ctx.ops.set_view(view=view)
        if self.in_passing:
            yield from self.show_in_grid(ctx, result)
            yield ctx.ops.notify(
                result.summary(), variant="warning" if getattr(result, "advice", "") else "success"
            )
        else:
            yield ctx.ops.show_output(output.schema(result).to_json(), output.values(result))

    def show_in_grid(self, ctx, result: Result) -> Iterator[Any]:
        """What makes the grid show the result, beside the view; nothing by default."""
        yield from ()

    def resolve_output(self, ctx) -> types.Property:
        """What a delegated run shows of its result."""
        return output.schema_of_values(ctx.results)

    def __call__(self, samples: Any, *, selected: Any = None, **options: Any) -> Result:
        """Run the step in this process, with a progress bar.

        Args:
            samples: a dataset or view
            selected (None): ids of samples, for the operators that take selected samples
            **options: the step's options

        Returns:
            the step's result, a frozen dataclass with ``.to_dict()``, and ``.view`` where the step makes a view
        """
        checked = self.options.of(options)
        arguments = {"selected": list(selected or ())} if self.selects else {}
        with TerminalProgress() as report:
            return type(self).step(samples, checked, report, **arguments)


def in_app() -> bool:
    """Whether this process is the App's server."""
    return "FIFTYONE_SERVER" in os.environ


def _to_run_record(ctx) -> Report:
    """Progress of a delegated run into its record, which ``fiftyone delegated info`` shows; the open-source App does not."""

    def report(what: str, done: int, total: int) -> None:
        ctx.set_progress(progress=done / max(total, 1), label=what)

    return throttled(report, RECORD_INTERVAL)
