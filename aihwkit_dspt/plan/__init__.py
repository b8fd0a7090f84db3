"""What a training will do to its arrays, before it is run."""

from aihwkit_dspt.plan.tile_plan import TilePlan
from aihwkit_dspt.plan.training_plan import TrainingPlan, training_plan

__all__ = ["TilePlan", "TrainingPlan", "training_plan"]
