"""Training: a recipe to a checkpoint to a bundle (PyTorch, transformers' Trainer)."""

from m3ser.training.recipe import Recipe, load_recipe

__all__ = ["Recipe", "load_recipe"]
