import { describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import { artifact, image, indexOf, other, subjectOf } from "./testing/world.ts";

const digest = image.digest;

describe("a subject", () => {
  it.each<[string, () => unknown, string]>([
    [
      "bytes that are not what they are called",
      () => subjectOf("ops/app:1.4", [{ ...image, digest: other.digest }]),
      `what was given as ${other.digest} is something else`,
    ],
    [
      "a swapped child of an index",
      () => subjectOf("ops/app:1.4", [indexOf(image), other]),
      `the index ${indexOf(image).digest} does not list ${other.digest}`,
    ],
    ["a child that the index says is longer", () => subjectOf("ops/app:1.4", [longer(), image]), "does not list"],
    ["an image as another's index", () => subjectOf("ops/app:1.4", [other, image]), "does not list"],
    [
      "an index that cannot be read",
      () => subjectOf("ops/app:1.4", [{ ...indexOf(image), mediaType: "text/plain" }, image]),
      "cannot be read as an index",
    ],
  ])("refuses %s", (_attack, open, message) => {
    expect(open).toThrow(expect.objectContaining({ code: "BINDING", message: expect.stringContaining(message) }));
  });

  it("hides no fault of our own behind a refusal", () => {
    const faulty = { ...indexOf(image), mediaType: 5 as never };

    expect(() => subjectOf("ops/app:1.4", [faulty, image])).toThrow(TypeError);
  });

  it("goes through an index of indexes", async () => {
    const inner = indexOf(image);
    const subject = subjectOf("ops/app:1.4", [indexOf(inner, other), inner, image]);

    expect([...subject.covering.keys()]).toEqual([indexOf(inner, other).digest, inner.digest, digest]);
    expect([subject.outermost, subject.digest]).toEqual([indexOf(inner, other).digest, digest]);
  });

  it("is known by SHA-256 whatever digest it was asked for by", async () => {
    expect(subjectOf("ops/app:1.4", [{ ...image, digest: digestOf(image.bytes, "sha512") }]).digest).toBe(digest);
  });
});

/** An index that lists the image with a byte more. */
function longer() {
  const { bytes, mediaType } = indexOf(image);
  const text = Buffer.from(bytes).toString();
  return artifact(
    Buffer.from(text.replace(`"size":${image.bytes.length}`, `"size":${image.bytes.length + 1}`)),
    mediaType,
  );
}
