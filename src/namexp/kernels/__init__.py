"""The fast paths of models, losses and the training step, each equal to the plain one.

On the CPU, kernels are C++ (``native/``), compiled for this machine and for the shape at hand when
they are first used, and kept in a cache. On a GPU a whole training step is replayed as one CUDA graph
(``graphed``). Nothing above knows whether a fast path or torch's own did the work.
``NAMEXP_KERNELS=off`` in the environment keeps to torch.
"""
