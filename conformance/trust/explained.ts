import type { Explained } from "./mutations.ts";

/** Survivors that change nothing anybody could see, and why. */
export const EXPLAINED: readonly Explained[] = [
  ...["&& → ||", "throw removed"].map((what) => ({
    file: "approval.ts",
    line:
      what === "&& → ||"
        ? 'if (error instanceof TrustError && error.code === "SIGNATURE") return false;'
        : "throw error;",
    what,
    why: "of an envelope that was read, verifying throws nothing but TrustError SIGNATURE",
  })),
  {
    file: "bridge-policy.ts",
    line: "if (!(cause instanceof TrustError)) throw cause;",
    what: "throw removed",
    why: "for bytes, reading a policy throws nothing but TrustError",
  },
  {
    file: "bridge-policy-api.ts",
    line: 'if (stored === undefined) throw new Error("a policy that was stored is gone, though none is ever deleted");',
    what: "throw removed",
    why: "nothing deletes a policy",
  },
  {
    file: "constraint.ts",
    line: 'if (operator !== "==" && operator !== "!=") return undefined;',
    what: "guard removed",
    why: "where the form is another one the key is empty, and no key",
  },
  {
    file: "content.ts",
    line: "if (bytes === undefined) return false;",
    what: "guard removed",
    why: "the JSON reader takes nothing for an empty text, which is no JSON either",
  },
  {
    file: "content.ts",
    line: "throw error;",
    what: "throw removed",
    why: "for bytes, the parsers of manifests and of JSON throw nothing but OciError and JsonError",
  },
  {
    file: "cosign-reader.ts",
    line: "if (reader.size > 0) for await (const piece of reader.chunks(0, reader.size - 1)) pieces.push(Buffer.from(piece));",
    what: "> → >=",
    why: "of an empty blob every store gives no piece, from the first byte to the one before it",
  },
  {
    file: "cosign-reader.ts",
    line: "throw error;",
    what: "throw removed",
    why: "for bytes, the parser of manifests throws nothing but OciError",
  },
  {
    file: "ecdsa-der.ts",
    line: "const length = body.length < 0x80 ? [body.length] : [0x81, body.length];",
    what: "< → <=",
    why: "no honest signature's two numbers are 128 bytes long together: of P-384 they are at most 104, of P-521 about 136",
  },
  {
    file: "image-pattern.ts",
    line: "throw error;",
    what: "throw removed",
    why: "for text, the parser of repository names throws nothing but OciError",
  },
  {
    file: "judge-image.ts",
    line: 'if (verdict === undefined) throw new Error("an image without a way that leads to it");',
    what: "throw removed",
    why: "an image that is there leads to itself",
  },
  {
    file: "policy-document.ts",
    line: "if (!(cause instanceof VerificationError)) throw cause;",
    what: "throw removed",
    why: "for bytes, opening a key throws nothing but VerificationError",
  },
  {
    file: "strict-json.ts",
    line: "if (!(cause instanceof JsonError)) throw cause;",
    what: "throw removed",
    why: "the JSON reader throws nothing but JsonError, whatever it is given",
  },
];
