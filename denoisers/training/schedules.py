"""Learning rate by iteration."""

import math

from denoisers.training.recipe import Training


def learning_rate(recipe: Training, iteration: int) -> float:
    """Return the learning rate of an iteration, counted from 0.

    Each phase begins anew. With ``hold`` the rate changes every so many iterations, as schedules by
    epoch do. It rises linearly over the warm-up, whose last step has the full rate. ``step``
    multiplies it by a factor every so often, ``milestones`` at named iterations; ``cosine`` falls
    along half a wave from the full rate, at the first step after the warm-up or at ``start``,
    towards the minimum, which the step after the last would have, or the one at ``end``.
    """
    schedule, full = recipe.schedule, recipe.optimiser.lr
    iteration %= recipe.iterations
    step, steps = iteration // schedule.hold, math.ceil(recipe.iterations / schedule.hold)
    warmup = schedule.warmup // schedule.hold
    if step < warmup:
        return full * (step + 1) / warmup
    if schedule.name == "step":
        return full * schedule.factor ** (iteration // schedule.every)
    if schedule.name == "milestones":
        passed = sum(step * schedule.hold >= milestone for milestone in schedule.milestones)
        return full * schedule.factor**passed
    if schedule.name == "cosine":
        first = max(warmup, schedule.start // schedule.hold)
        last = steps if schedule.end is None else math.ceil(schedule.end / schedule.hold)
        wave = math.cos(math.pi * min(1, max(0, step - first) / max(1, last - first)))
        return schedule.minimum + (full - schedule.minimum) * (1 + wave) / 2
    return full
