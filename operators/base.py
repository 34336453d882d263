"""The base of every operator: form, target, execution mode, progress, output, and the call from Python."""

import re
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import fiftyone as fo
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
from .words import LABELS, app_words


class StepOperator(foo.Operator):
    """A step that a person can click, and call.

    A concrete operator's name is its class's, its description the docstring; the attributes are the class's arguments.

    Attributes:
        step: ``step(samples, options, progress) -> result``
        options: the options class of the step, by its annotation
        icon: a Material icon's name
        label: what the App lists it as; by default its name with spaces
        risk: ``"low"``, ``"medium"``, ``"high"``: FiftyOne's risk level
        needs: the step that must be done before, or None
        targets: whether the form offers dataset, view and selection; False for steps that search in the current view
        undone_by: name of the operator that takes back what this one did, or None: its button stands under the result
        selects: whether the step takes the selected samples as ``selected=``
        asks: names of the options that the form asks for at once; None = all that are not marked advanced
        opens_view: whether the App opens the result's view afterwards
        in_passing: whether the grid itself shows the result: then nothing is laid over it, and the words pass by
        button: title of a button over the grid, or None
        in_archive: whether the button stands over the grid of an archive dataset, and not over others
        button_asks: whether the button opens the form. The App looks up to 2.5 seconds late what a button does, so what
            depends on the selection is decided when the operator is executed
    """

    step: ClassVar[Callable[..., Result]]
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

    def __init_subclass__(cls, step: Callable[..., Result] | None = None, **shown: Any) -> None:
        super().__init_subclass__()
        if step is not None:
            cls.step, cls.options = staticmethod(step), step.__annotations__["options"]
        for name, value in shown.items():
            setattr(cls, name, value)
        LABELS[cls._name()] = cls.label or title(cls._name())

    @classmethod
    def _name(cls) -> str:
        return re.sub(r"\B(?=[A-Z])", "_", cls.__name__).lower()

    @property
    def config(self) -> foo.OperatorConfig:
        """What FiftyOne needs to know about the operator."""
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
        """A button over the grid, for the operators that have one."""
        if self.button is None or ctx.dataset is None or archive.is_one(ctx.dataset) != self.in_archive:
            return None
        button = types.Button(label=self.button, icon=self.icon, prompt=self.button_asks)
        return types.Placement(types.Places.SAMPLES_GRID_SECONDARY_ACTIONS, button)

    def resolve_input(self, ctx) -> types.Property:
        """The form, from the options; FiftyOne asks for it before every execution too, and refuses what it blocks."""
        inputs = types.Object()
        ctx.params.update({name: plain(value) for name, value in ctx.params.items()})
        if self.targets:
            form.add_target(inputs, ctx, self.needs, "weights" in self.options.names())
        self.add_to_form(inputs, ctx)
        form.add_options(inputs, self.options, ctx, self.asks)
        if form.is_complete(self.options, ctx.params):
            try:
                options = self.read(ctx)
                self.check(ctx, options)
                form.add_limits(inputs, ctx.dataset, options)
                self.add_plan(inputs, ctx, options)
            except (
                *op.EXPECTED,
                OSError,
                RuntimeError,
            ) as error:  # half a path may name a home that is not there
                form.add_problem(inputs, str(error))
        return types.Property(inputs, view=types.View(label=self.config.label))

    def add_to_form(self, inputs: types.Object, ctx) -> None:
        """Add what is not an option; nothing by default."""

    def check(self, ctx, options: Options) -> None:
        """Refuse at once, in the form, what the step would refuse later.

        Raises:
            ValueError, WeightsUnavailable: saying what is wrong, and the remedy
        """
        form.check(ctx.dataset, options, self.needs)

    def add_plan(self, inputs: types.Object, ctx, options: Options) -> None:
        """Add what would be done, and the box that confirms it, for the operators that ask; nothing by default."""

    def read(self, ctx) -> Options:
        """The options that a request gives.

        Raises:
            OptionError: if one lies outside its bounds, or is not to be asked for in the App
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
        list(self.finish(ctx, result))  # what an App would be asked to show
        return result.to_dict()

    def samples(self, ctx) -> Any:
        """The samples that the step works on."""
        return ctx.target_view() if self.targets else ctx.view

    def arguments(self, ctx) -> dict[str, Any]:
        """Arguments of the step beside samples, options and progress."""
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
        except (
            op.EXPECTED
        ) as error:  # raised, it would only break the stream: the App has its headers already
            begun = running.meter.total > 0
            yield ctx.ops.show_output(*output.failure(error, begun, self.uri, ctx.params))

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
            shown = output.values(result)
            outputs = output.schema(shown)
            if self.undone_by and getattr(result, "confirmed", True):
                output.add_button(outputs.type, self.undone_by, {"run_key": result.run_key})
            yield ctx.ops.show_output(outputs.to_json(), shown)

    def show_in_grid(self, ctx, result: Result) -> Iterator[Any]:
        """Show the result in the grid, beside the view; nothing by default."""
        yield from ()

    def resolve_output(self, ctx) -> types.Property:
        """What a delegated run shows of its result."""
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
            several = [selected] if isinstance(selected, str | fo.Sample) else selected or ()
            arguments["selected"] = [getattr(sample, "id", sample) for sample in several]
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
