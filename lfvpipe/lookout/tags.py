"""The tags that a pipeline gives a model, and that our service looks at when it trains."""

from typing import Final

FINGERPRINT: Final = "lfvpipe:fingerprint"
"""What the model was made of: the step's fingerprint, by which a version is found again."""

PIPELINE: Final = "lfvpipe:pipeline"
"""The name of the pipeline, for people."""

COSTS: Final = "lfvpipe:costs"
"""What a mistake costs, as ``FALSE_ACCEPT:FALSE_REJECT``, such as ``20:1``."""

PIXELS: Final = "lfvpipe:pixels"
"""How photographs become pixels, as `lfvpipe.images.PixelRules.as_text` writes it."""

THOROUGH: Final = "lfvpipe:thorough"
"""``true``: search images more finely, for longer."""
