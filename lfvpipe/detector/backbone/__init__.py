"""The backbone: EfficientNet-Lite2 up to stride 16, frozen, whose maps all features come from.

`checkpoint` reads the weights that a package installed, `graph` builds ONNX graphs from them, and
`network` keeps these in the user's cache and runs them.
"""
