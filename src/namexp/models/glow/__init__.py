"""Glow: densities of images, with an estimator for every step or shared by those of a level."""

from namexp.models.glow.glow import Encoded, Glow

__all__ = ["Encoded", "Glow"]
