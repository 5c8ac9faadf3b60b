import { describe, expect, it } from "vitest";
import { UsageError } from "../errors.ts";
import { parseImage } from "./image.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

describe("parseImage", () => {
  it.each([
    ["lab/app", undefined, "lab/app", undefined, undefined],
    ["lab/team/app:1", undefined, "lab/team/app", "1", undefined],
    ["reg.example.com/lab/app:1.0", "reg.example.com", "lab/app", "1.0", undefined],
    ["REG.example.com/lab/app", "reg.example.com", "lab/app", undefined, undefined],
    ["127.0.0.1:5443/lab/app", "127.0.0.1:5443", "lab/app", undefined, undefined],
    ["localhost/lab/app:1", "localhost", "lab/app", "1", undefined],
    [`lab/app@${DIGEST}`, undefined, "lab/app", undefined, DIGEST],
    [`localhost:5443/lab/app:1@${DIGEST}`, "localhost:5443", "lab/app", "1", DIGEST],
  ])("reads %s", (text, host, repository, tag, digest) => {
    expect(parseImage(text)).toEqual({ host, repository, tag, digest });
  });

  it.each([
    ["", "lower-case letters"],
    ["app", "a repository is"],
    ["lab/app:", "a tag is"],
    ["lab/app:1:2", "is no image"],
    ["lab/App", "lower-case letters"],
    ["lab/app@sha256:12", "a digest is"],
    ["lab/../app", "is no image"],
    ["reg.example.com/app", "a repository is"],
  ])("refuses %j", (text, message) => {
    expect(() => parseImage(text)).toThrow(UsageError);
    expect(() => parseImage(text)).toThrow(message);
  });
});
