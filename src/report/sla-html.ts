import type { SlaReport } from '../sla/types.js'

// Stand-in until the report part is merged.
export function slaHtml(report: SlaReport): string {
  const json = JSON.stringify(report).replaceAll('<', '\\u003c')
  return `<!doctype html><title>SLA</title><script type="application/json">${json}</script>\n`
}
