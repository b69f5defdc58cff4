"""A vocoder's weights in files: ours, the official ones, ONNX."""
