"""The base of every operator: form, target, mode of execution, progress, output, and the call from Python."""

import re
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import fiftyone as fo
import fiftyone.core.sample as fos
import fiftyone.operators as foo
import fiftyone.operators.types as types

from ..similarity.data import archive
from ..similarity.declare import plain, title
from ..similarity.options import Options
from ..similarity.progress import Progress
from ..similarity.result import Result
from ..similarity.workflow import Step
from . import form, output, request
from . import progress as op
from .words import LABELS, app_words, enter


class StepOperator(foo.Operator):
    """A step as an operator of the App and as a call.

    A concrete operator's name is its class's, its description the docstring; the attributes are the class's arguments.

    Attributes:
        step: ``step(samples, options, progress) -> result``
        options: the options class of the step, by its annotation
        check: ``check(samples, options)`` of the step, for the form: it refuses, before anything is computed, what the step
            would refuse; None for a step without such a check
        icon: name of a Material icon
        label: name in the App; by default the operator's name with spaces
        risk: FiftyOne's risk level, ``"low"``, ``"medium"`` or ``"high"``
        needs: the step that must be done before, or None
        targets: whether the form offers dataset, view and selection; False for steps that search in the current view
        undone_by: name of the operator that undoes this one, or None: its button is below the result
        selects: whether the step takes the selected samples as ``selected=``
        asks: names of the options at the top of the form; None = all that are not marked advanced
        opens_view: whether the App opens the result's view afterwards
        in_passing: whether the grid itself shows the result: then nothing covers it, and the summary is a notification
        button: title of a button over the grid, or None
        in_archive: whether the button is over the grid of an archive dataset, and not over others
        button_asks: whether the button opens the form. The App looks up a button's action up to 2.5 seconds late, so the
            selection is looked at when the operator is executed
    """

    step: ClassVar[Callable[..., Result]]
    check: ClassVar[Callable[..., Any] | None] = None
    options: ClassVar[type[Options]]
    icon: ClassVar[str]
    label: ClassVar[str] = ""
    risk: ClassVar[str] = "low"
    needs: ClassVar[Step | None] = None
    targets: ClassVar[bool] = True
    undone_by: ClassVar[str | None] = None
    selects: ClassVar[bool] = False
    asks: ClassVar[tuple[str, ...] | None] = None
    opens_view: ClassVar[bool] = False
    in_passing: ClassVar[bool] = False
    button: ClassVar[str | None] = None
    in_archive: ClassVar[bool] = False
    button_asks: ClassVar[bool] = True

    def __init_subclass__(cls, step: Callable[..., Result] | None = None, **attributes: Any) -> None:
        super().__init_subclass__()
        if step is None:  # a base of other operators
            return
        cls.step, cls.options = staticmethod(step), step.__annotations__["options"]
        for name, value in attributes.items():
            setattr(cls, name, staticmethod(value) if callable(value) else value)
        enter(cls._name(), cls.label or title(cls._name()), cls.options)

    @classmethod
    def _name(cls) -> str:
        return re.sub(r"\B(?=[A-Z])", "_", cls.__name__).lower()

    @property
    def config(self) -> foo.OperatorConfig:
        """The operator's settings for FiftyOne."""
        return foo.OperatorConfig(
            name=self._name(),
            label=LABELS[self._name()],
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
        """Return a button over the grid; None for operators without one."""
        if self.button is None or ctx.dataset is None or archive.is_one(ctx.dataset) != self.in_archive:
            return None
        button = types.Button(label=self.button, icon=self.icon, prompt=self.button_asks)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)

    def resolve_input(self, ctx) -> types.Property:
        """Return the form, from the options; FiftyOne resolves it before every execution too, and refuses a blocked one."""
        inputs = types.Object()
        ctx.dataset.reload()  # another process may have done the run again
        ctx.params.update({name: plain(value) for name, value in ctx.params.items()})
        samples = (
            form.add_target(inputs, ctx, self.needs, self.options) if self.targets else self.samples(ctx)
        )
        self.add_inputs(inputs, ctx)
        form.add_options(inputs, self.options, ctx, self.asks)
        # A button that executes gives no parameters; the operator then opens its form where something is missing.
        pressed = not self.button_asks and not ctx.params
        if form.is_complete(self.options, ctx.params) and not pressed:
            try:
                options = self.read(ctx)
                form.add_notes(inputs, samples, options)
                form.check(samples, options, self.needs)
                if self.check is not None:
                    self.check(samples, options, **self.arguments(ctx))
                self.add_plan(inputs, samples, options)
            except (*op.EXPECTED, OSError, RuntimeError) as error:  # "~nobody" raises a RuntimeError
                form.add_problem(inputs, str(error))
        return types.Property(inputs, view=types.View(label=self.config.label))

    def add_inputs(self, inputs: types.Object, ctx) -> None:
        """Add inputs beside the options; none by default."""

    def add_plan(self, inputs: types.Object, samples: Any, options: Options) -> None:
        """Add the plan or the consequences, and the box that confirms them; nothing by default."""

    def read(self, ctx) -> Options:
        """Return the options of a request.

        Raises:
            OptionError: if one lies outside its bounds, or a request of the App must not set it
        """
        options = form.read_options(self.options, ctx.params)
        if request.in_app():
            request.check(options)
        return options

    def execute(self, ctx) -> Any:
        """Run the step: streamed to the App; from Python, or in a delegated worker, with its result as plain values."""
        options = self.read(ctx)

        def work(progress: Progress) -> Result:
            return type(self).step(self.samples(ctx), options, progress, **self.arguments(ctx))

        if ctx.delegated:
            return output.values(work(op.record(ctx)))
        if request.in_app():
            return self._streamed(ctx, work)
        with op.terminal() as progress:
            result = work(progress)
        list(self.finish(ctx, result))  # the messages for an App
        return result.to_dict()

    def samples(self, ctx) -> Any:
        """Return the samples that the step works on."""
        return ctx.target_view() if self.targets else ctx.view

    def arguments(self, ctx) -> dict[str, Any]:
        """Return the arguments of the step beside samples, options and progress."""
        return {"selected": list(ctx.selected)} if self.selects else {}

    def _streamed(self, ctx, work: Callable[[Progress], Result]) -> Iterator[Any]:
        running = op.Running(self.config.label, work)
        try:
            for _ in running.stream():
                if not self.in_passing:  # the App closes a progress bar only for an output
                    yield ctx.ops.show_output(*output.progress(running))
            yield from self.finish(ctx, running.result)
        except op.Cancelled:
            yield ctx.ops.reload_dataset()
            yield ctx.ops.show_output(*output.cancelled())
        except Exception as error:  # raised, it would only break the stream: the App has its headers already
            words, begun = running.problem or str(error), running.meter.total > 0
            yield ctx.ops.show_output(*output.failure(error, words, begun, self.uri, ctx.params))

    def finish(self, ctx, result: Result) -> Iterator[Any]:
        """Ask the App to show the result."""
        yield ctx.ops.reload_dataset()
        view = getattr(result, "view", None)
        if self.opens_view and view is not None:
            # not by name: the App looks for it among the saved views that it listed before this run
            yield ctx.ops.set_view(view=view)
        if self.in_passing:
            yield from self.show_in_grid(ctx, result)
            warned = getattr(result, "advice", "")
            yield ctx.ops.notify(app_words(result.summary()), variant="warning" if warned else "success")
        else:
            yield self.show(ctx, result)

    def show(self, ctx, result: Result) -> Any:
        """Ask the App to show the result as an output."""
        shown = output.values(result)
        outputs = output.schema(shown)
        if self.undone_by and getattr(result, "confirmed", True):
            output.add_button(outputs.type, self.undone_by, {"run_key": result.run_key})
        return ctx.ops.show_output(outputs.to_json(), shown)

    def show_in_grid(self, ctx, result: Result) -> Iterator[Any]:
        """Show the result in the grid, beside the view; nothing by default."""
        yield from ()

    def resolve_output(self, ctx) -> types.Property:
        """Return the output of a delegated run."""
        return output.schema(ctx.results)

    def __call__(self, samples: Any, *, selected: Any = None, **options: Any) -> Result:
        """Run the step in this process, with a progress bar.

        Args:
            samples: a dataset or view, or a dataset's name
            selected (None): samples, or their ids, for the operators that take selected samples
            **options: the step's options

        Returns:
            the step's result, a frozen dataclass with ``.to_dict()``, and ``.view`` where the step makes a view
        """
        checked, arguments = self.options.of(options), {}
        if self.selects:
            one = isinstance(selected, str | fo.Sample | fos.SampleView)
            several = [selected] if one else selected or ()
            arguments["selected"] = [getattr(sample, "id", sample) for sample in several]
        elif selected is not None:
            raise TypeError(
                f"{self._name()} takes no selected samples: give the view dataset.select(ids) instead"
            )
        with op.terminal() as progress:
            return type(self).step(_collection(samples), checked, progress, **arguments)


def _collection(samples: Any) -> fo.core.collections.SampleCollection:
    if isinstance(samples, str):
        return fo.load_dataset(samples)
    if not isinstance(samples, fo.core.collections.SampleCollection):
        raise TypeError(
            f"samples must be a dataset, a view or a dataset's name, got {type(samples).__name__}; for some samples of a "
            "dataset give the view dataset.select(ids)"
        )
    return samples
