import { basename } from 'node:path'
import type { Objective } from './types.js'

/** An objective as others may see it: addresses of webhooks are secrets of their own, and so are paths of this machine. */
export function publicObjective(objective: Objective): Objective {
  const alerts = objective.alerts.map((policy) => ({
    ...policy,
    targets: policy.targets.map(({ name }) => ({ name })),
  }))
  return { ...objective, alerts, source: { ...objective.source, file: basename(objective.source.file) } }
}
