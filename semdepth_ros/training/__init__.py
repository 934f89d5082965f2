"""Self-supervised joint training: recipes, triplets, the objective and the loop."""
from semdepth_ros.training.recipe import Recipe, RecipeError
from semdepth_ros.training.recipe_file import read_recipe, recipe_from

__all__ = ['Recipe', 'RecipeError', 'read_recipe', 'recipe_from']
