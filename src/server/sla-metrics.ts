import { Gauge, type Registry } from 'prom-client'
import type { SlaMonitor } from '../sla/monitor.js'

const OBJECTIVE = ['objective', 'service', 'model'] as const

/** Metrics of objectives, read at each scrape; returns the function that reads them. */
export function slaMetrics(registry: Registry, monitor: SlaMonitor): () => void {
  const gauge = <L extends string>(name: string, help: string, ...more: L[]): Gauge<(typeof OBJECTIVE)[number] | L> =>
    new Gauge({ name, help, labelNames: [...OBJECTIVE, ...more], registers: [registry] })

  const good = gauge('subten_sla_good_events_total', 'Good events of the objective, since the start of the process.')
  const total = gauge('subten_sla_events_total', 'Events of the objective, since the start of the process.')
  const excluded = gauge('subten_sla_excluded_events_total', 'Events that do not count: client aborts, maintenance.')
  const target = gauge('subten_sla_target', 'Share of good events that is promised.')
  const left = gauge('subten_sla_error_budget_remaining', 'Share of the error budget that is left in the window.')
  const burn = gauge('subten_sla_burn_rate', 'How many times faster than allowed the budget is used up.', 'window')
  const firing = gauge('subten_sla_alert_firing', '1 while an alert of the policy fires.', 'severity', 'policy')
  const delivered = new Gauge({
    name: 'subten_sla_webhook_delivered_total',
    help: 'Events that a webhook target has taken.',
    labelNames: ['target'],
    registers: [registry],
  })
  const dropped = new Gauge({
    name: 'subten_sla_webhook_dropped_total',
    help: 'Events that could not be delivered to a webhook target.',
    labelNames: ['target'],
    registers: [registry],
  })

  return () => {
    left.reset()
    burn.reset()
    for (const { objective, counted, budgetLeft, burn: rates, alerts } of monitor.status().objectives) {
      const of = { objective: objective.name, service: objective.service, model: objective.indicator.model }
      good.set(of, counted?.good ?? 0)
      total.set(of, counted?.total ?? 0)
      excluded.set(of, counted?.excluded ?? 0)
      target.set(of, objective.target)
      if (budgetLeft !== undefined) left.set(of, budgetLeft)
      for (const [ms, rate] of Object.entries(rates)) burn.set({ ...of, window: promDuration(Number(ms)) }, rate)
      const policies = new Map<string, boolean>()
      for (const alert of alerts) {
        const key = JSON.stringify({ severity: alert.severity, policy: alert.policy })
        policies.set(key, policies.get(key) === true || alert.firing)
      }
      for (const [key, on] of policies) firing.set({ ...of, ...JSON.parse(key) }, on ? 1 : 0)
    }
    for (const each of monitor.webhooks) {
      delivered.set({ target: each.target }, each.delivered)
      dropped.set({ target: each.target }, each.dropped)
    }
  }
}

/** A duration as Prometheus writes it: 1h, 5m, 3d. */
function promDuration(ms: number): string {
  for (const [unit, length] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const) {
    if (ms >= length && ms % length === 0) return `${ms / length}${unit}`
  }
  return `${ms}ms`
}
