/**
 * Loaded as a vitest setup file: SWARMATLAS_FUZZ_RUNS=N lets every property test that names no count of its own try N
 * inputs in place of fast-check's 100.
 */
const runs = Number(process.env.SWARMATLAS_FUZZ_RUNS)
if (runs > 0) {
  const { default: fc } = await import('fast-check')
  fc.configureGlobal({ numRuns: runs })
}

export {}
