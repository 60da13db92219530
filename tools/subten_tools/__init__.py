"""What subten does in Python: quantising with ONNX Runtime's own tools."""
