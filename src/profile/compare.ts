import { SubtenError } from '../runtime/errors.js'
import type { Comparison, ProfileReport } from './report-types.js'

export function compareReports(_before: ProfileReport, _after: ProfileReport): Comparison {
  throw new SubtenError('NOT_SUPPORTED', 'comparisons are not part of this build')
}

export async function compareBuilds(_options: {
  before: string
  after: string
  args: readonly string[]
  rounds: number
  onProgress?: (progress: { round: number; rounds: number; build: 'before' | 'after' }) => void
}): Promise<Comparison> {
  throw new SubtenError('NOT_SUPPORTED', 'comparisons are not part of this build')
}
