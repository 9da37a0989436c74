"""What a run needs and what fits, predicted before a weight is read. Others ask only for what is named here.

An `Anatomy` is made once of a model with its adapter attached; a `Demand` of that and the rows predicts any training
(`parts`, `bytes`), measures one (`measured`), and is what everything else here is asked with:

    demand = Demand(Anatomy(model), rows, identity(cache, source, rule))
    demand.bytes(recipe)                                   the peak of training
    stages_of(demand, recipe, cache, held_out, ...)        the peaks of the stages beside it
    fastest(recipe, ..., demand.bytes, budget)             the settings that memory=auto weighs
    refusal(demand, recipe), excess(stages, memory)        what is said of what does not fit
"""

from tasks.budget.anatomy import Anatomy
from tasks.budget.answering import most_at_once
from tasks.budget.choices import RECOMPUTE, Option, changed, fastest
from tasks.budget.demand import Demand, identity, refusal
from tasks.budget.later_stages import Stages, excess, stages_of
from tasks.budget.longest_row import longest_row
from tasks.budget.parts import COPIES, Parts

__all__ = [
    "COPIES",
    "RECOMPUTE",
    "Anatomy",
    "Demand",
    "Option",
    "Parts",
    "Stages",
    "changed",
    "excess",
    "fastest",
    "identity",
    "longest_row",
    "most_at_once",
    "refusal",
    "stages_of",
]
