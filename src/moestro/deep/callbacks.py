"""Routing watched, balanced and scheduled while others' training loops run: a callback of the Trainer of
`transformers`, and one of Lightning. Each library is imported only where its callback is made."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch import nn

from ..errors import DataError
from .balancing import LoadBalancer, step_balance
from .model import check_layer_top_k, sparse_layers
from .routers.base import check_size
from .stats import COLUMNS, RoutingStats

Schedule = Callable[[int], int]


class Watcher:
    """What both callbacks do with a model.

    Parameters
    ----------
    every : int
        Optimiser steps between two lines of statistics.
    schedule : callable (step) -> int, optional
        Experts a token at each step of the optimiser, such as a `TopKSchedule`.
    """

    def __init__(self, every: int, schedule: Schedule | None):
        if schedule is not None and not callable(schedule):
            raise DataError(f"schedule must be callable, got {type(schedule).__name__}")
        self.every, self.schedule = check_size("every", every), schedule
        self.stats: RoutingStats | None = None
        self._balanced = False
        self._layers: list[Any] = []

    def begin(self, model: nn.Module) -> None:
        """Look at the routing from here on."""
        self.end()
        self._layers = list(sparse_layers(model).values())
        self._balanced = any(isinstance(m, LoadBalancer) for m in model.modules())
        self.stats = RoutingStats(model).__enter__()

    def before(self, step: int) -> None:
        """Set the number of experts of the step (from 0)."""
        if self.schedule is not None:
            k = self.schedule(step)
            for layer in self._layers:
                layer.top_k = check_layer_top_k(k, layer)

    def after(self, model: nn.Module, step: int) -> dict[str, float]:
        """Move the biases of a model that has them; every so many steps, what was seen since the last line,
        by "routing/LAYER/COLUMN"."""
        if self._balanced:
            step_balance(model)
        if self.stats is None or step % self.every:
            return {}
        rows = self.stats.table().rows()
        self.stats.reset()
        return {f"routing/{row['layer']}/{name}": row[name] for row in rows for name in COLUMNS[3:]}

    def end(self) -> None:
        """Look no longer."""
        if self.stats is not None:
            self.stats.__exit__()
        self.stats = None


def trainer_callback(every: int = 100, schedule: Schedule | None = None) -> Any:
    """A `transformers.TrainerCallback` for models with sparse layers or top-k routers.

    It sets the number of experts before each step, moves the biases of layers with `balance_rate` after it,
    and appends a line of routing statistics to the trainer's `state.log_history`.

    Parameters
    ----------
    every : int
        Steps between two lines.
    schedule : callable (step) -> int, optional
        Experts a token, such as a `TopKSchedule`.
    """
    base = _base("transformers", "TrainerCallback", "trainer_callback")

    class RoutingCallback(base):
        def __init__(self) -> None:
            self.watcher = Watcher(every, schedule)

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            self.watcher.begin(model)

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.watcher.before(state.global_step)

        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            found = self.watcher.after(model, state.global_step)
            if found:
                state.log_history.append({"step": state.global_step, **found})

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.watcher.end()

    return RoutingCallback()


def lightning_callback(every: int = 100, schedule: Schedule | None = None) -> Any:
    """The same as a `lightning.pytorch.Callback`, which logs by the module's `log_dict`. Steps are the
    optimiser's: batches of which gradients are accumulated are one.

    Parameters
    ----------
    every, schedule
        As in `trainer_callback`.
    """
    base = _base("lightning.pytorch", "Callback", "lightning_callback")

    class RoutingCallback(base):
        def __init__(self) -> None:
            self.watcher = Watcher(every, schedule)
            self.step = 0

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            self.step = trainer.global_step
            self.watcher.begin(pl_module)

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            self.watcher.before(trainer.global_step)

        def on_train_batch_end(
            self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            if trainer.global_step == self.step:  # gradients are still being gathered
                return
            self.step = trainer.global_step
            pl_module.log_dict(self.watcher.after(pl_module, self.step))

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            self.watcher.end()

    return RoutingCallback()


def _base(module: str, name: str, what: str) -> Any:
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        raise DataError(f"{what} is for {module.split('.')[0]}, which is not installed: {error}") from error
