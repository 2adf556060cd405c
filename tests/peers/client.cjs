// What a Node.js program does with the service, told as one JSON document on standard output.
// Arguments: a project with a hosted model version 1, the bucket with its images, an image file.
"use strict";
const fs = require("node:fs");
const sdk = require("@aws-sdk/client-lookoutvision");

async function refused(call) {
  try {
    await call;
    return null;
  } catch (error) {
    return {
      name: error.name,
      typed: sdk[error.name] !== undefined && error instanceof sdk[error.name],
      status: error.$metadata.httpStatusCode,
      resource: error.ResourceType ?? null,
      requestId: Boolean(error.$metadata.requestId),
    };
  }
}

async function until(describe, status) {
  for (;;) {
    const found = await describe();
    if (found.Status === status) return found;
    if (found.Status.endsWith("FAILED")) throw new Error(found.StatusMessage);
  }
}

async function main([hosted, bucket, image]) {
  const client = new sdk.LookoutVisionClient({});
  const send = (name, input) => client.send(new sdk[`${name}Command`](input));
  const ProjectName = "made-by-javascript";
  const named = { ProjectName, DatasetType: "train" };
  const said = {};

  said.made = (await send("CreateProject", { ProjectName })).ProjectMetadata;
  said.again = await refused(send("CreateProject", { ProjectName }));
  said.missing = await refused(send("DescribeProject", { ProjectName: "no-such-project" }));
  said.invalid = await refused(send("CreateProject", { ProjectName: "no spaces" }));
  const source = { GroundTruthManifest: { S3Object: { Bucket: bucket, Key: "more.manifest" } } };
  said.creating = (await send("CreateDataset", { ...named, DatasetSource: source })).DatasetMetadata.Status;
  const describe = async () => (await send("DescribeDataset", named)).DatasetDescription;
  said.stats = (await until(describe, "CREATE_COMPLETE")).ImageStats;

  said.entries = 0;
  const pages = sdk.paginateListDatasetEntries({ client, pageSize: 7 }, { ...named, Labeled: true });
  for await (const page of pages) said.entries += page.DatasetEntries.length;
  const [first] = (await send("ListDatasetEntries", { ...named, MaxResults: 1 })).DatasetEntries;
  const changed = JSON.parse(first);
  changed["anomaly-label-metadata"]["class-name"] = "anomaly";
  const Changes = Buffer.from(JSON.stringify(changed));
  said.updating = (await send("UpdateDatasetEntries", { ...named, Changes })).Status;
  said.updated = (await until(describe, "UPDATE_COMPLETE")).ImageStats;

  const model = { ProjectName: hosted, ModelVersion: "1" };
  const described = (await send("DescribeModel", model)).ModelDescription;
  said.created = described.CreationTimestamp instanceof Date;
  said.status = described.Status;
  const Body = fs.createReadStream(image);
  const detected = await send("DetectAnomalies", { ...model, Body, ContentType: "image/png" });
  said.detected = detected.DetectAnomalyResult;
  const wrong = { ...model, Body: Buffer.from("GIF89a"), ContentType: "image/gif" };
  said.gif = await refused(send("DetectAnomalies", wrong));
  const ResourceArn = described.ModelArn;
  await send("TagResource", { ResourceArn, Tags: [{ Key: "line/ü", Value: "a b" }] });
  said.tags = (await send("ListTagsForResource", { ResourceArn })).Tags;
  await send("UntagResource", { ResourceArn, TagKeys: ["line/ü"] });

  await send("DeleteDataset", named);
  said.deleted = (await send("DeleteProject", { ProjectName })).ProjectArn;
  console.log(JSON.stringify(said));
}

main(process.argv.slice(2));
