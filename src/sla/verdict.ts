import type { ObjectiveVerdict, ProfileReport } from '../profile/report-types.js'
import type { Contract } from './types.js'

export function verdictOf(_contract: Contract, _report: ProfileReport): ObjectiveVerdict[] {
  return []
}
