import { annotation, annotationPath, type ContractObjects, type Declared } from './contract-objects.js'
import type { Maintenance } from './types.js'

/** With an offset: a local time would mean another moment on another machine. */
const TIME = String.raw`(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d))`
const LINE = new RegExp(`^${TIME}/${TIME}(?:\\s+(.*))?$`)

/** The maintenance windows of a service: `FROM/TO reason`, one a line. */
export function maintenanceOf(service: Declared<unknown>, objects: ContractObjects): Maintenance[] {
  const text = annotation(service, 'maintenance')
  if (text === undefined) return []
  const lines = text.split('\n').map((line) => line.trim())
  return lines.filter(Boolean).flatMap((line) => {
    const found = LINE.exec(line)
    const from = Date.parse(found?.[1] ?? '')
    const to = Date.parse(found?.[2] ?? '')
    if (Number.isNaN(from) || Number.isNaN(to) || from >= to) {
      const why = from >= to ? 'ends before it begins' : 'is not FROM/TO reason'
      const fix = 'Write it as 2026-12-01T02:00:00Z/2026-12-01T04:00:00Z move of the database.'
      objects.invalid(service, annotationPath('maintenance'), `"${line.slice(0, 80)}" ${why}`, fix)
      return []
    }
    return [{ from, to, reason: found?.[3] ?? '', service: service.metadata.name }]
  })
}
