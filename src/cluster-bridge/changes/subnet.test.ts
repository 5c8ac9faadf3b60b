import { describe, expect, it } from "vitest";
import { isWholeSubnet, overlap, parseSubnet } from "./subnet.ts";

function doOverlap(one: string, other: string): boolean {
  const [a, b] = [parseSubnet(one), parseSubnet(other)];
  if (a === undefined || b === undefined) throw new Error(`${one} or ${other} is no subnet`);
  return overlap(a, b);
}

describe("subnets", () => {
  it.each([
    ["10.20.0.0/16", "10.20.7.0/24", true],
    ["10.20.7.9/24", "10.20.0.0/16", true],
    ["10.20.0.0/16", "10.20.0.0/16", true],
    ["10.20.0.0/16", "10.21.0.0/16", false],
    ["0.0.0.0/0", "203.0.113.0/24", true],
    ["192.0.2.0/25", "192.0.2.128/25", false],
    ["fd00:20::/32", "fd00:20:7::/64", true],
    ["fd00:20:7::1/64", "FD00:0020::/32", true],
    ["fd00:20::/32", "fd00:21::/32", false],
    ["::/0", "fd00::/8", true],
    ["fd00::/64", "fd00:0:0:1::/64", false],
    ["::/0", "10.0.0.0/8", false],
    ["0.0.0.0/0", "fd00::/8", false],
  ])("%s and %s: overlap is %s, whichever comes first", (one, other, expected) => {
    expect([doOverlap(one, other), doOverlap(other, one)]).toEqual([expected, expected]);
  });

  it.each(["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "fd00::/-1", "fd00::/", "x/8", "10.0.0.0/8/8"])(
    "%j is none",
    (text) => {
      expect(parseSubnet(text)).toBeUndefined();
    },
  );

  it.each([
    ["10.20.0.0/24", true],
    ["10.0.0.0/8", true],
    ["10.20.0.4/30", true],
    ["10.20.0.1/24", false],
    ["10.20.0.0/31", false],
    ["10.0.0.0/7", false],
    ["10.20.0.0/024", false],
    ["fd00:20::/64", false],
  ])("%s may be ordered for an overlay: %s", (text, expected) => {
    expect(isWholeSubnet(text)).toBe(expected);
  });
});
