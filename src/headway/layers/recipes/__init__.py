"""Recipes: what gives the exact tar of a layer back from its tree."""
