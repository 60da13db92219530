import type { ProfileReport } from '../profile/report-types.js'
import { SubtenError } from '../runtime/errors.js'

/** One self-contained page of a report. */
export function profileHtml(_report: ProfileReport): string {
  throw new SubtenError('NOT_SUPPORTED', 'reports as HTML are not part of this build')
}
