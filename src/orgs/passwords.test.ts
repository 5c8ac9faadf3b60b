import { describe, expect, it } from "vitest";
import { Passwords } from "./passwords.ts";

describe("Passwords", () => {
  it("verifies the password that was hashed and no other", async () => {
    const passwords = new Passwords();
    const owner = { id: 1, passwordHash: await passwords.hash("correct horse") };

    expect(owner.passwordHash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(await passwords.verify(owner, "correct horse")).toBe(true);
    expect(await passwords.verify(owner, "correct horse")).toBe(true);
    expect(await passwords.verify(owner, "correct horsf")).toBe(false);
    expect(await passwords.verify(owner, "")).toBe(false);
  });

  it("verifies a hash of other parameters by its own", async () => {
    // A vector of src/test.c in the argon2 reference implementation.
    const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    expect(await new Passwords().verify({ id: 1, passwordHash: reference }, "password")).toBe(true);
  });

  it("does not let a password that was right once in after it was changed, or for another user", async () => {
    const passwords = new Passwords();
    const owner = { id: 1, passwordHash: await passwords.hash("first password") };
    await passwords.verify(owner, "first password");

    const changed = { id: 1, passwordHash: await passwords.hash("second password") };

    expect(await passwords.verify(changed, "first password")).toBe(false);
    expect(await passwords.verify({ ...changed, id: 2 }, "first password")).toBe(false);
  });

  it("tells passwords apart that share 1024 bytes, and refuses longer ones", async () => {
    const passwords = new Passwords();
    const long = "p".repeat(1024);
    const owner = { id: 1, passwordHash: await passwords.hash(long) };

    expect(await passwords.verify(owner, long)).toBe(true);
    expect(await passwords.verify(owner, `${long.slice(0, -1)}q`)).toBe(false);
    expect(await passwords.verify(owner, `${long}q`)).toBe(false);
  });

  it("never knows an unknown user, whatever is asked at the same time", async () => {
    const passwords = new Passwords();

    const answers = await Promise.all([passwords.verify(undefined, "guess"), passwords.verify(undefined, "guess")]);

    expect(answers).toEqual([false, false]);
  });

  it("answers a crowd in turn, and sends away what is more than it can take", async () => {
    const passwords = new Passwords();
    const owner = { id: 1, passwordHash: `$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$${"A".repeat(43)}` };

    const crowd = Array.from({ length: 300 }, (_, n) => passwords.verify(owner, `guess ${n}`));
    const ends = await Promise.allSettled(crowd);

    expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(258);
    const refused = ends.filter(({ status }) => status === "rejected");
    expect(refused).toHaveLength(42);
    expect(refused[0]).toMatchObject({ reason: { code: "TOOMANYREQUESTS" } });
  });
});
