"""Programs that ask a model, ready to paste: this server's address and names filled in.

Nothing in here needs quoting: the API's patterns and the guard let only letters, digits, ``-``,
``_``, ``.`` and an address's colons into these values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Target:
    """The model that is asked, and where.

    Attributes:
        url: The server's address.
        access_key: The id of the key that the program signs with.
        is_hosted: The model can be asked as it is.
        storage: Where the server's images are: ``local``, ``aws`` or an S3 endpoint.
    """

    url: str
    region: str
    access_key: str
    project: str
    version: str
    is_hosted: bool
    storage: str


class Snippet(NamedTuple):
    """A program's text; what it is called is ``use.NAME``."""

    name: str
    text: str


def snippets(target: Target) -> list[Snippet]:
    """Return the programs that ask a model."""
    return [
        Snippet("cli", _cli(target)),
        Snippet("python", _python(target)),
        Snippet("javascript", _javascript(target)),
        Snippet("pipeline", _pipeline(target)),
    ]


def _cli(target: Target) -> str:
    model = f"--project-name {target.project} --model-version {target.version}"
    start = f"""\
aws lookoutvision start-model {model} --min-inference-units 1
while [ "$(aws lookoutvision describe-model {model} \\
  --query ModelDescription.Status --output text)" = STARTING_HOSTING ]; do sleep 1; done
"""
    return f"""\
export AWS_ENDPOINT_URL_LOOKOUTVISION={target.url}
export AWS_DEFAULT_REGION={target.region}
export AWS_ACCESS_KEY_ID={target.access_key}
read -rsp "Its secret: " AWS_SECRET_ACCESS_KEY && export AWS_SECRET_ACCESS_KEY

{"" if target.is_hosted else start}\
aws lookoutvision detect-anomalies {model} \\
  --content-type image/jpeg --body image.jpg

# When nobody needs it any more:
# aws lookoutvision stop-model {model}
"""


def _python(target: Target) -> str:
    start = """\
client.start_model(**model, MinInferenceUnits=1)
while client.describe_model(**model)["ModelDescription"]["Status"] == "STARTING_HOSTING":
    time.sleep(1)
"""
    return f"""\
import os
{"" if target.is_hosted else "import time" + chr(10)}\

import boto3

client = boto3.client(
    "lookoutvision",
    endpoint_url="{target.url}",
    region_name="{target.region}",
    aws_access_key_id="{target.access_key}",
    aws_secret_access_key=os.environ["LFVPIPE_SECRET"],
)
model = {{"ProjectName": "{target.project}", "ModelVersion": "{target.version}"}}
{"" if target.is_hosted else start}\
with open("image.jpg", "rb") as image:
    answer = client.detect_anomalies(**model, Body=image.read(), ContentType="image/jpeg")
result = answer["DetectAnomalyResult"]
print("anomalous" if result["IsAnomalous"] else "normal", result["Confidence"])
# When nobody needs it any more: client.stop_model(**model)
"""


def _javascript(target: Target) -> str:
    names = "" if target.is_hosted else "DescribeModelCommand, StartModelCommand, "
    start = """\
await client.send(new StartModelCommand({ ...model, MinInferenceUnits: 1 }));
const status = async () =>
  (await client.send(new DescribeModelCommand(model))).ModelDescription.Status;
while ((await status()) === "STARTING_HOSTING") await new Promise((go) => setTimeout(go, 1000));
"""
    return f"""\
// npm install @aws-sdk/client-lookoutvision@3.918.0; save as ask.mjs, run by node ask.mjs
import {{ readFile }} from "node:fs/promises";
import {{ DetectAnomaliesCommand, {names}LookoutVisionClient }} \
from "@aws-sdk/client-lookoutvision";

const client = new LookoutVisionClient({{
  endpoint: "{target.url}",
  region: "{target.region}",
  credentials: {{
    accessKeyId: "{target.access_key}",
    secretAccessKey: process.env.LFVPIPE_SECRET,
  }},
}});
const model = {{ ProjectName: "{target.project}", ModelVersion: "{target.version}" }};
{"" if target.is_hosted else start}\
const Body = await readFile("image.jpg");
const answer = await client.send(
  new DetectAnomaliesCommand({{ ...model, Body, ContentType: "image/jpeg" }}),
);
console.log(answer.DetectAnomalyResult);
// When nobody needs it any more: StopModelCommand(model)
"""


def _pipeline(target: Target) -> str:
    return f"""\
# Save as {target.project}.yaml. `lfvpipe run {target.project}.yaml` trains on the images that it
# names and judges with the model, on this server; `lfvpipe detect {target.project}.yaml image.jpg`
# asks that model. It makes a project of its own: nothing of {target.project} is replaced.
name: {target.project.lower().replace("_", "-").strip("-")[:60]}-files
project: {target.project}-files
region: {target.region}
sources:
  normal: {{ archive: images/normal }}
  anomaly: {{ archive: images/anomaly }}
bucket: {{ name: images-of-files, endpoint: "{target.storage}" }}
service: {{ endpoint: "{target.url}" }}
"""
