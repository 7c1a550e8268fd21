"""From an ONNX model to its own C++: import, passes, lowering, measured choice, one file."""
