import { describe, expect, it } from "vitest";
import { findConstraint, findContradiction, isSameConstraint, isSameValue, toText } from "./constraint.ts";

const parse = (text: string) => {
  const found = findConstraint(text);
  if (found === undefined) throw new Error(text);
  return found;
};

describe("findConstraint", () => {
  it.each([
    ["node.id==2ivku8v2gvtg4", "node.id==2ivku8v2gvtg4"],
    ["node.hostname != w1", "node.hostname!=w1"],
    ["node.role==MANAGER", "node.role==MANAGER"],
    ["node.platform.os==linux", "node.platform.os==linux"],
    ["node.platform.arch==x86_64", "node.platform.arch==x86_64"],
    ["  node.labels.tier  ==  prod one  ", "node.labels.tier==prod one"],
    ["engine.labels.com.example.rack==r7/3", "engine.labels.com.example.rack==r7/3"],
    [`node.labels.tier==${"a".repeat(494)}`, `node.labels.tier==${"a".repeat(494)}`],
  ])("reads %j", (text, normal) => {
    expect(toText(parse(text))).toBe(normal);
  });

  it.each([
    ["nothing", ""],
    ["no operator", "node.labels.tier"],
    ["one =", "node.labels.tier=prod"],
    ["another operator", "node.labels.tier>=3"],
    ["no value", "node.labels.tier=="],
    ["blanks as a value", "node.labels.tier==  "],
    ["no label", "node.labels.==prod"],
    ["a key that the engine never matches", "node.name==w1"],
    ["an address, which changes", "node.ip==10.0.0.1"],
    ["a key in capitals", "Node.labels.tier==prod"],
    ["two constraints in one", "node.role==worker node.labels.tier==prod"],
    ["an operator in the value", "node.labels.tier==a!=b"],
    ["a role that is none", "node.role==wroker"],
    ["a line break", "node.labels.tier==prod\nnode.role==worker"],
    ["a character that the engine refuses", "node.labels.tier==prod&test"],
    ["what only looks like an s", "node.labelſ.tier==prod"],
    ["a slash in a label's name", "node.labels.com.example/tier==prod"],
    ["more than 512 characters", `node.labels.tier==${"a".repeat(495)}`],
  ])("does not read %s", (_what, text) => {
    expect(findConstraint(text)).toBeUndefined();
  });
});

describe("isSameValue", () => {
  it.each([
    ["prod", "PROD", true],
    ["desk", "deſK", true],
    ["ss", "ß", false],
    ["prod", "prod ", false],
  ])("of %j and %j is as the engine sees it", (one, other, isSame) => {
    expect([isSameValue(one, other), isSameValue(other, one)]).toEqual([isSame, isSame]);
  });

  it("makes constraints the same, but for the name of a label", () => {
    const [one, other] = [parse("node.labels.tier==prod"), parse("node.labels.tier == Prod")];

    expect(isSameConstraint(one, other)).toBe(true);
    for (const text of ["node.labels.Tier==prod", "node.labels.tier!=prod", "engine.labels.tier==prod"])
      expect(isSameConstraint(one, parse(text))).toBe(false);
  });
});

describe("findContradiction", () => {
  it.each([
    ["two values of one label", ["node.labels.a==x", "node.role==worker", "node.labels.a==y"], true],
    ["a value and not this value", ["node.labels.a==x", "node.labels.a!=X"], true],
    ["a value and not another", ["node.labels.a==x", "node.labels.a!=y"], false],
    ["the same value twice", ["node.labels.a==x", "node.labels.a==X"], false],
    ["two that it is not", ["node.labels.a!=x", "node.labels.a!=y"], false],
    ["labels of different names", ["node.labels.a==x", "node.labels.A==y"], false],
  ])("knows of %s", (_what, texts, isThere) => {
    expect(findContradiction(texts.map(parse)) !== undefined).toBe(isThere);
  });
});
