"""The fast paths of models and losses on the CPU, each equal to the plain one.

Kernels are C++ (``native/``), compiled for this machine and for the shape at hand when they are
first used, and kept in a cache. Nothing above knows whether a fast path or torch's own did the work.
``NAMEXP_KERNELS=off`` in the environment keeps to torch.
"""
