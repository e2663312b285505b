export type { ExportedFile, Gap } from './datapackage.ts'
export {
  type ExportComponents,
  type ExportOptions,
  type ExportProgress,
  type ExportResult,
  exportGraph,
} from './export.ts'
export { type Format, formats } from './format.ts'
export { type Detail, details } from './tables.ts'
