"""What depth and classes say of each other: targets for either, made from the other. Tensors in, tensors out."""
from semdepth_ros.losses.refinement.pseudo_depth import KINDS, DepthRefinement, PseudoDepth, pseudo_depth
from semdepth_ros.losses.refinement.pseudo_semantics import PseudoSemantics, SemanticRefinement, pseudo_semantics

__all__ = ['KINDS', 'DepthRefinement', 'PseudoDepth', 'PseudoSemantics', 'SemanticRefinement', 'pseudo_depth',
           'pseudo_semantics']
