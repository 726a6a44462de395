"""Recipes: the named defaults of a fine-tune, each rule with its source."""

from typing import Annotated, Literal

from tunery.types._meta import Answer, about

RecipeName = Literal["balanced", "fast", "best", "few_shot", "scratch"]
RecipeChoice = Literal["auto"] | RecipeName


class RecipeRule(Answer, kw_only=True, frozen=True):
    """What one hyperparameter becomes where it is left out."""

    hyperparameter: Annotated[str, about("Its name.", "epochs")]
    rule: Annotated[str, about("What it becomes.", "1")]
    source: Annotated[str, about("Where that comes from.", "Mosbach et al. 2021, arXiv:2006.04884")]


class Recipe(Answer, kw_only=True, frozen=True):
    """Named defaults."""

    name: Annotated[RecipeName, about("Use it as `recipe`.", "few_shot")]
    description: Annotated[str, about("What it does, and when it is right.", "Few rows a class")]
    rules: Annotated[list[RecipeRule], about("One for each hyperparameter that it decides.")]


class RecipeList(Answer, kw_only=True, frozen=True):
    """Every recipe."""

    data: Annotated[list[Recipe], about("The one that `auto` takes for most datasets first.")]
