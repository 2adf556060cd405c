"""The service model, loaded once."""

import json
from functools import cache

from botocore.model import ServiceModel

from lfvpipe.lookout.model_data import API_VERSION, SERVICE, data_folder


@cache
def service_model() -> ServiceModel:
    """Return botocore's model of Lookout for Vision.

    Raises:
        UserError: The package with the model is not installed.
    """
    file = data_folder() / SERVICE / API_VERSION / "service-2.json"
    return ServiceModel(json.loads(file.read_text("utf-8")), SERVICE)
