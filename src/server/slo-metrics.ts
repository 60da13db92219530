import { Gauge, type Registry } from 'prom-client'
import type { Model } from '../runtime/types.js'

/** Metrics of models that are scheduled by deadline; returns the function that reads them, to be called at each scrape. */
export function sloMetrics(registry: Registry): (models: readonly Model[]) => void {
  const all: Gauge[] = []
  const gauge = <L extends string>(name: string, help: string, ...more: L[]): Gauge<'model' | 'version' | L> => {
    const made = new Gauge({ name, help, labelNames: ['model', 'version', ...more], registers: [registry] })
    all.push(made as Gauge)
    return made
  }
  const target = gauge('subten_slo_target_seconds', 'What 99 % of the requests are to keep.')
  const requests = gauge('subten_slo_requests_total', 'Requests by what scheduling did with them.', 'outcome')
  const variant = gauge('subten_slo_served_by_variant_total', 'Requests that the cheaper variant answered instead.')
  const arrivals = gauge('subten_slo_arrival_rows_per_second', 'Rows that arrive.')
  const best = gauge('subten_slo_best_rows_per_second', 'Rows that all instances do at the best batch size.')
  const late = gauge('subten_slo_event_loop_lateness_seconds', 'Lateness of the event loop, taken off deadlines.')
  const instances = gauge('subten_slo_instances', 'Instances that may run now.')
  const latency = gauge(
    'subten_slo_batch_latency_seconds',
    'Predicted latency of a batch, typical and high, by its rows.',
    'rows',
    'shape_class',
    'estimate',
  )
  const samples = gauge(
    'subten_slo_batch_samples',
    'Batches behind a predicted latency.',
    'rows',
    'shape_class',
    'basis',
  )

  return (models) => {
    // Models come and go, and so do batch sizes.
    for (const each of all) each.reset()
    for (const model of models) {
      const { slo, requests: counts } = model.stats()
      if (slo === undefined) continue
      const of = { model: model.name, version: model.version }
      if (model.slo !== undefined) target.set(of, model.slo.p99Ms / 1000)
      const { admitted, refused, dropped, late: missed } = slo
      for (const [outcome, n] of Object.entries({ admitted, refused, dropped, late: missed })) {
        requests.set({ ...of, outcome }, n)
      }
      if (counts.servedByVariant !== undefined) variant.set(of, counts.servedByVariant)
      arrivals.set(of, slo.arrivalRate)
      best.set(of, slo.bestRate)
      late.set(of, slo.loopLatenessUs / 1e6)
      instances.set(of, slo.instances)
      for (const each of slo.latencies) {
        const size = { ...of, rows: String(each.rows), shape_class: String(each.shapeClass) }
        latency.set({ ...size, estimate: 'typical' }, each.typicalUs / 1e6)
        latency.set({ ...size, estimate: 'high' }, each.highUs / 1e6)
        samples.set({ ...size, basis: each.basis }, each.samples)
      }
    }
  }
}
