import { describe, expect, it } from "vitest";
import { findConstraint } from "../../trust/constraint.ts";
import { findDeadEnd, lint, matches } from "./constraint-lint.ts";
import { node } from "./testing/cluster.ts";

const parse = (text: string) => {
  const found = findConstraint(text);
  if (found === undefined) throw new Error(text);
  return found;
};
const one = node("w1", {
  ...{ labels: { tier: "prod", zone: "a" }, engineLabels: new Map([["rack", "r7"]]) },
});
const nodes = [
  node("m1", { role: "manager", labels: { tier: "test" } }),
  one,
  node("w2", { labels: { tier: "prod" } }),
  node("w3", { away: "drain", labels: { disk: "ssd" } }),
];

describe("matches", () => {
  it.each([
    ["node.id==id-w1", true],
    ["node.hostname==W1", true],
    ["node.hostname!=w1", false],
    ["node.role==worker", true],
    ["node.role!=worker", false],
    ["node.platform.os==linux", true],
    ["node.platform.arch==amd64", false],
    ["node.platform.arch==x86_64", true],
    ["node.labels.tier==prod", true],
    ["node.labels.tier==test", false],
    ["node.labels.none==prod", false],
    ["node.labels.none!=prod", true],
    ["node.labels.rack==r7", false],
    ["engine.labels.rack==r7", true],
    ["node.labels.toString==x", false],
  ])("of %s is %s", (text, isSo) => {
    expect(matches(one, parse(text))).toBe(isSo);
  });
});

describe("lint", () => {
  it("counts the nodes on which something can start now", () => {
    const texts = ["node.labels.tier==prod", "node.labels.tier!=prod", "node.labels.disk==ssd"];

    const found = lint(texts.map(parse), nodes);

    expect(found.map(({ matches: count, of }) => [count, of])).toEqual([
      [2, 3],
      [1, 3],
      [0, 3],
    ]);
  });
});

describe("findDeadEnd", () => {
  it.each([
    ["nothing where some node matches all", ["node.labels.tier==prod", "node.labels.zone!=b"], undefined],
    [
      "the values there are",
      ["node.role==worker", "node.labels.tier==prd"],
      "node.labels.tier==prd matches 0 of 3 nodes (tier is prod on 2, test on 1)",
    ],
    [
      "the labels there are, the nearest first",
      ["node.labels.teir==prod"],
      "node.labels.teir==prod matches 0 of 3 nodes (node labels there are: tier, disk, zone)",
    ],
    [
      "the labels that engines have",
      ["engine.labels.rck==r7"],
      "engine.labels.rck==r7 matches 0 of 3 nodes (engine labels there are: rack)",
    ],
    [
      "a node that would do, and is away",
      ["node.labels.disk==ssd"],
      "node.labels.disk==ssd matches 0 of 3 nodes (w3 is drain)",
    ],
    [
      "the hosts there are",
      ["node.hostname==w9"],
      "node.hostname==w9 matches 0 of 3 nodes (there are: m1 on 1, w1 on 1, w2 on 1, w3 on 1)",
    ],
    [
      "what all nodes are",
      ["node.platform.os!=linux"],
      "node.platform.os!=linux matches 0 of 3 nodes (every node is that)",
    ],
    [
      "that each matches, and no node all of them",
      ["node.role==manager", "node.labels.tier==prod"],
      "0 of 3 nodes match all of: node.role==manager matches 1 of 3 nodes, node.labels.tier==prod matches 2 of 3 nodes",
    ],
  ])("says %s", (_what, texts, expected) => {
    expect(findDeadEnd(texts.map(parse), nodes)).toBe(expected);
  });

  it("says why no node is there at all, and that there are no labels", () => {
    expect(findDeadEnd([], [node("w1", { away: "down" }), node("w2", { away: "pause" })])).toBe(
      "no node is ready: w1 is down, w2 is pause",
    );
    expect(findDeadEnd([parse("node.labels.tier==prod")], [node("w1")])).toMatch("(no node has any node label)");
  });
});
