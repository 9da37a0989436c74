"""Hands out the trials of a study and records their outcomes; the number of trials asked for is met exactly.

Optuna keeps trials, values and curves; `Leases` keeps which worker has which trial. A trial is added under a
lease of its own, so that two workers do not both add the last one, and a trial whose worker died goes on under its own
number. Samplers are seeded by trial, so that a worker that was killed draws what it would have drawn.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from pipelines.search import space
from pipelines.search.config import TPE, Grid, Halving, Median, Random, Sweep
from pipelines.search.lease import ADDING, Beat, Lease, Leases
from pipelines.search.patient_rdb import IsThere
from pipelines.search.same_study import check_settings
from pipelines.search.storage import Storage
from tasks.artifact import fingerprint
from tasks.errors import ConfigError

log = logging.getLogger(__name__)
SETTINGS = "graftline"
"""The study's attribute with the settings that its trials depend on."""


class Claimed(NamedTuple):
    """A trial that is this worker's to run.

    Attributes:
        trial: Optuna's trial, with the sampler and pruner of the search.
        resumed: whether a worker has begun it before.
        claims: how many workers in a row have died at it, this one counted.
    """

    trial: Trial
    resumed: bool
    claims: int


class Study:
    """A study in a storage, opened by one worker.

    Args:
        sweep: the search.
        settings: what the values of its trials depend on, by key; see `settings_of`.
        storage: open.
        folder: the folder of the sweep.

    Raises:
        ConfigError: the study of this name is of other settings.
        RunError: the storage does not answer.
    """

    def __init__(self, sweep: Sweep, settings: dict[str, str], storage: Storage, folder: Path):
        self._sweep, self.storage = sweep, storage
        with storage.answering():
            self.optuna = optuna.create_study(
                study_name=sweep.study, storage=storage.rdb, load_if_exists=True, direction=sweep.direction
            )
            earlier = self.optuna.user_attrs.get(SETTINGS)
            if earlier is None and self.trials():
                raise ConfigError(f"the study {sweep.study} has trials of another tool; give another sweep.study=...")
            check_settings(sweep.study, earlier, settings)
            self.optuna.set_user_attr(SETTINGS, {**(earlier or {}), **settings})
        self.optuna.pruner = make_pruner(sweep)  # Optuna stores none, and would prune by the median
        self.leases = Leases(storage, sweep.study, folder / "workers", grace=sweep.grace)
        self._grid = space.grid(sweep.space) if isinstance(sweep.sampler, Grid) else None
        self._size = space.size(sweep.space)

    @property
    def total(self) -> int | None:
        """How many trials there are to be; None where hours alone say when it is enough."""
        wanted = [self._sweep.budget.trials, None if self._grid is None else len(self._grid)]
        return min((number for number in wanted if number is not None), default=None)

    def trials(self) -> list[FrozenTrial]:
        """All trials, in order."""
        return self.optuna.get_trials(deepcopy=False)

    def complete(self) -> bool:
        """Whether nothing is left to do, here or elsewhere."""
        trials = self.trials()
        return not any(not trial.state.is_finished() for trial in trials) and not self._may_add(trials)

    def next(self) -> Claimed | None:
        """The next trial for this worker; None where others are at the last ones, or all are done."""
        trials, rows = self.trials(), self.leases.rows()
        for trial in trials:
            row = rows.get(trial.number)
            if not trial.state.is_finished() and self.leases.take(trial.number, row):
                return self._claimed(trial, row)
        if self._may_add(trials) and self.leases.take(ADDING, rows.get(ADDING)):
            trials = self.trials()
            if self._may_add(trials) and all(t.state.is_finished() or t.number in rows for t in trials):
                self._add(len(trials))
            self.leases.give_back(ADDING)
            return self.next()
        return None

    @contextmanager
    def at_work(self, claimed: Claimed) -> Iterator[Beat]:
        """Beats for a trial for the length of a block, and gives its lease back however the block ends."""
        number = claimed.trial.number
        try:
            with self.leases.beating(number) as beat:
                yield beat
        finally:
            self.leases.give_back(number)

    def twin(self, trial: Trial) -> FrozenTrial | None:
        """A complete trial that tried what this one tries: a run of the same settings gives the same result."""
        others = (other for other in self.trials() if other.state == TrialState.COMPLETE)
        return next((other for other in others if other.params == trial.params), None)

    def tell(self, claimed: Claimed, value: float | None, state: TrialState) -> None:
        """Records the outcome of a trial."""
        self.storage.patiently(
            lambda: self.optuna.tell(claimed.trial.number, value, state=state, skip_if_finished=True)
        )

    def _may_add(self, trials: list[FrozenTrial]) -> bool:
        hours = self._sweep.budget.hours
        if hours is not None and sum(row.seconds for row in self.leases.rows().values()) >= hours * 3600:
            return False
        if self._size is not None:  # every combination was tried: another trial would be a twin
            tried = {fingerprint(trial.params) for trial in trials if trial.state != TrialState.FAIL and trial.params}
            if len(tried) >= self._size:
                return False
        return self.total is None or len(trials) < self.total

    def _add(self, number: int) -> None:
        fixed = {} if self._grid is None else self._grid[number]
        encoded = {key: space.encode(value) for key, value in fixed.items()}
        attributes = {} if self._grid is None else {"fixed_params": encoded}
        self.storage.rdb.wanted = number
        with suppress(IsThere):
            added = optuna.create_trial(state=TrialState.WAITING, system_attrs=attributes)
            self.storage.patiently(lambda: self.optuna.add_trial(added))

    def _claimed(self, trial: FrozenTrial, row: Lease | None) -> Claimed | None:
        """The trial under this worker's lease; None where it was finished just before the lease was taken."""
        storage = self.storage.rdb
        if storage.get_trial(trial._trial_id).state.is_finished():
            self.leases.give_back(trial.number)
            return None if self.complete() else self.next()
        self.storage.patiently(lambda: storage.set_trial_state_values(trial._trial_id, state=TrialState.RUNNING))
        self.optuna.sampler = make_sampler(self._sweep, trial.number)
        claims = 1 if row is None else row.claims + 1
        return Claimed(Trial(self.optuna, trial._trial_id), row is not None, claims)


def make_sampler(sweep: Sweep, number: int) -> optuna.samplers.BaseSampler:
    """The sampler of one trial, seeded by the search and the trial's number."""
    match sweep.sampler:
        case TPE(seed=seed, startup=startup):
            return optuna.samplers.TPESampler(n_startup_trials=startup, seed=_seed(seed, number))
        case Random(seed=seed):
            return optuna.samplers.RandomSampler(seed=_seed(seed, number))
        case _:
            return optuna.samplers.RandomSampler()  # a grid's values are fixed already


def make_pruner(sweep: Sweep) -> optuna.pruners.BasePruner:
    """The pruner of a search."""
    match sweep.pruner:
        case Median(startup=startup, warmup=warmup):
            return optuna.pruners.MedianPruner(n_startup_trials=startup, n_warmup_steps=warmup)
        case Halving(first=first, factor=factor):
            return optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=factor)
        case _:
            return optuna.pruners.NopPruner()


def _seed(seed: int, number: int) -> int:
    return int(fingerprint([seed, number], 8), 16)
