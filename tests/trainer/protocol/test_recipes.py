"""Recipes: what is listed is what is followed."""

import msgspec
import pytest

from tunery.types import Hyperparameters, RecipeName
from tunery_trainer.protocol.recipes import RECIPES, RULES, listed

AUTOMATIC = {
    name for name, value in msgspec.structs.asdict(Hyperparameters()).items() if value == "auto"
}


def test_every_automatic_hyperparameter_has_a_rule() -> None:
    assert set(RULES) == AUTOMATIC


@pytest.mark.parametrize("name", RECIPES)
def test_choices_are_hyperparameters_that_may_be_asked_for(name: RecipeName) -> None:
    choices = RECIPES[name].choices

    asked = {key: choice.value for key, choice in choices.items()}
    msgspec.convert(asked, Hyperparameters)
    assert set(choices) <= AUTOMATIC


def test_a_recipe_lists_one_rule_for_each() -> None:
    recipes = {each.name: each for each in listed()}

    assert list(recipes) == ["balanced", "fast", "best", "few_shot", "scratch"]
    for recipe in recipes.values():
        names = [rule.hyperparameter for rule in recipe.rules]
        assert sorted(names) == sorted(AUTOMATIC)
        assert all(rule.rule and rule.source for rule in recipe.rules)
    few = {rule.hyperparameter: rule.rule for rule in recipes["few_shot"].rules}
    assert few["epochs"] == "20"
    assert few["label_names"] == "true"
    assert few["learning_rate"].startswith("0.2 times: 5e-4 below 256 dimensions")
