"""The guard of a recipe: the same network from scratch, for a part of the images that the recipe learns from."""

from __future__ import annotations

from pocketgan.data.batches import steps_per_epoch
from pocketgan.pipeline.from_scratch import FromScratch
from pocketgan.pipeline.recipe import Recipe
from pocketgan.recipes.settings import RecipeSettings
from pocketgan.training.schedule import Schedule

#: its name among the stages
FROM_SCRATCH = "network from scratch"


def guarded(recipe: Recipe, settings: RecipeSettings) -> Recipe:
    """The recipe, with the guard that `settings.guard` asks for; the learning rate falls in its second half."""
    if not settings.guard or not recipe.trainings:
        return recipe
    batch = recipe.trainings[0].schedule.batch_size
    images = sum(stage.images for stage in recipe.trainings)
    an_epoch = steps_per_epoch(recipe.task.epoch(), batch) * batch
    epochs = max(2, round(settings.guard * images / an_epoch))
    game = settings.alone
    guard = FromScratch(
        like=recipe.result,
        task=recipe.task,
        schedule=Schedule(constant=epochs - epochs // 2, decay=epochs // 2, batch_size=batch),
        discriminator=settings.discriminator,
        objective=game,
        feature_network=settings.features_of(game),
        seed=settings.seed,
        precision=settings.precision,
    )
    stages = {**recipe.stages, FROM_SCRATCH: guard}
    roles = recipe.roles.model_copy(update={"guard": FROM_SCRATCH})
    return recipe.model_copy(update={"stages": stages, "roles": roles})
