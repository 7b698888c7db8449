"""Somebody's ONNX file and card, checked before anything loads them; in a process that may die of it."""
