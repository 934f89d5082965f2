"""The terms of the objective: each a function of a view and its settings, and all of them in one table."""
from semdepth_ros.training.terms.table import TERMS, Term
from semdepth_ros.training.terms.weight import Weighted

__all__ = ['TERMS', 'Term', 'Weighted']
