import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts"],
    globalSetup: ["src/storage/test-postgres.ts"],
    testTimeout: 30_000,
    hookTimeout: 120_000,
    // Only a failure waits so long.
    expect: { poll: { timeout: 20_000 } },
    maxWorkers: 2,
  },
});
