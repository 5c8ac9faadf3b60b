import { describe, expect, it } from "vitest";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { fillGunTemplate, isGunTemplate, isImagePattern, matchesImage } from "./image-pattern.ts";

describe("matchesImage", () => {
  it.each([
    ["ops/app", "ops/app", true],
    ["ops/app", "ops/app2", false],
    ["ops/app", "xops/app", false],
    ["ops/*", "ops/app", true],
    ["ops/*", "ops/team/app", false],
    ["ops/*", "ops2/app", false],
    ["ops/**", "ops/team/app", true],
    ["ops/**", "ops/app", true],
    ["**", "ops/team/app", true],
    ["*/app", "ops/app", true],
    ["*/app", "ops/team/app", false],
    ["ops/web-*", "ops/web-1", true],
    ["ops/web-*", "ops/web-", false],
    ["ops/a.b", "ops/a.b", true],
    ["ops/a.b", "ops/axb", false],
    ["*/**", "ops/app", true],
  ])("%s for %s is %s", (pattern, repository, expected) => {
    expect(isImagePattern(pattern)).toBe(true);
    expect(matchesImage(pattern, repository as never)).toBe(expected);
  });

  it("takes no longer for a name made to be slow", () => {
    const name = parseRepositoryName(`ops/${"a/".repeat(120)}a`);

    const started = process.cpuUsage();
    expect(matchesImage("*/**/*/*/*/*/*/*/b", name)).toBe(false);

    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(0.5);
  });
});

describe("isImagePattern", () => {
  it.each([
    "",
    "/",
    "ops/",
    "/ops",
    "ops//a",
    "ops/***",
    "ops/*a*",
    "**/a/**",
    "Ops/*",
    "ops/(a)",
    "ops/a b",
    "a".repeat(256),
  ])("refuses %j", (text) => {
    expect(isImagePattern(text)).toBe(false);
  });

  it("takes one of 255 characters", () => {
    expect(isImagePattern("a".repeat(255))).toBe(true);
  });
});

describe("a GUN template", () => {
  it.each([
    ["qa/{name}", "ops/app", "qa/app"],
    ["qa/{name}", "ops/shop/web", "qa/shop/web"],
    ["qa/gate", "ops/app", "qa/gate"],
    ["qa/{name}/{name}", "ops/app", "qa/app/app"],
  ])("%s for %s is %s", (template, repository, expected) => {
    expect(fillGunTemplate(template, parseRepositoryName(repository))).toBe(expected);
  });

  it.each(["", "{name}", "qa/{Name}", "qa/{}", "qa/{name", "QA/{name}", "qa/../{name}", "host:5000/qa/{name}"])(
    "is not %j",
    (text) => {
      expect(isGunTemplate(text)).toBe(false);
    },
  );

  it("has no answer where the name would be too long", () => {
    expect(fillGunTemplate("qa/{name}/{name}", parseRepositoryName(`ops/${"a".repeat(200)}`))).toBeUndefined();
  });
});
