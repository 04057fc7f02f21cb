"""What the workspace's grades mean."""

from nearer.core.errors import InputError
from nearer.core.records import GradeScale
from nearer.core.sections import GradesRecipe
from nearer.store.formats import DEFAULT_MAX_GRADE
from nearer.store.workspace import Workspace


def scale_of(workspace: Workspace) -> GradeScale:
    """The scale that the recipe fixes; what it leaves open follows the largest grade there is."""
    return make_scale(workspace.recipe.grades, largest_grade=workspace.collection.largest_grade())


def max_grade_of(workspace: Workspace) -> int:
    """The largest grade: the recipe's, that of the judgments there are, or 4."""
    largest = workspace.collection.largest_grade()
    return workspace.recipe.grades.max_grade or (scale_of(workspace).max_grade if largest else DEFAULT_MAX_GRADE)


def refuse_changed_scale(workspace: Workspace, *, largest_grade: int) -> None:
    """Raise InputError where judgments up to ``largest_grade`` would change what the earlier ones mean.

    They do not where the recipe says what grades mean.
    """
    recipe, before = workspace.recipe.grades, workspace.collection.largest_grade()
    new = make_scale(recipe, largest_grade=max(before, largest_grade))
    if before and make_scale(recipe, largest_grade=before) != new:
        raise InputError(
            f"these judgments go up to grade {largest_grade}, those there are up to {before}: a grade of {before} "
            "would no longer mean the same",
            hint="say what grades mean: set max_grade, relevant_from and positive_from under [grades]",
        )


def make_scale(recipe: GradesRecipe, *, largest_grade: int) -> GradeScale:
    """A recipe's scale for judgments up to ``largest_grade``.

    Raises InputError when the thresholds do not fit together.
    """
    thresholds = recipe.relevant_from or 1, recipe.positive_from or 1  # so large are grades that are still to come
    default = GradeScale.for_max_grade(recipe.max_grade or max(largest_grade, *thresholds))
    try:
        return GradeScale(
            max_grade=default.max_grade,
            relevant_from=recipe.relevant_from or default.relevant_from,
            positive_from=recipe.positive_from or max(default.positive_from, recipe.relevant_from or 1),
        )
    except ValueError as error:
        raise InputError(f"[grades] does not fit together: {error}", hint="correct [grades] in nearer.toml") from error
