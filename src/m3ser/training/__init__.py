"""Training: a recipe to a checkpoint to a bundle (PyTorch, transformers' Trainer)."""

from m3ser.training.recipe import Recipe
from m3ser.training.recipe_file import find_recipe, load_recipe

__all__ = ["Recipe", "find_recipe", "load_recipe"]
