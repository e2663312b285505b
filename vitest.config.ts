import { defineConfig } from 'vitest/config'

const conditions = ['@swarmatlas/source', 'node']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ['packages/*/test/**/*.test.ts', 'apps/*/test/**/*.test.ts', 'benchmarks/test/**/*.test.ts'],
    setupFiles: ['packages/testkit/src/egress-guard.ts', 'packages/testkit/src/property-runs.ts'],
    testTimeout: 20_000,
    hookTimeout: 20_000,
  },
})
