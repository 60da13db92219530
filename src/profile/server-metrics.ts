import { type BatchReason, STAGES, type Stage, type StageSummary } from '../runtime/stats.js'
import type { Meter, Metered } from './meter.js'

/** Samples of Prometheus's text format: `name{labels}` → value. */
type Samples = ReadonlyMap<string, { readonly labels: ReadonlyMap<string, string>; readonly value: number }[]>

const REASONS: readonly BatchReason[] = ['full', 'preferred', 'delay', 'deadline', 'idle']

/**
 * Figures of a server of ours, from its `/metrics` before and after. Means, counts and processor time are of the measured
 * part; percentiles and maxima of stages are since the server loaded the model, which its metrics do not tell apart.
 */
export function serverMeter(url: string, model: string): Meter {
  let before: Samples | undefined
  return {
    begin: async () => {
      before = await scrape(url)
    },
    end: async () => {
      const after = before && (await scrape(url))
      return before && after ? between(before, after, model) : {}
    },
  }
}

async function scrape(url: string): Promise<Samples | undefined> {
  try {
    const answer = await fetch(new URL('/metrics', url), { signal: AbortSignal.timeout(5000) })
    return answer.ok ? parseMetrics(await answer.text()) : undefined
  } catch {
    return undefined // it has none: other servers need not
  }
}

export function parseMetrics(text: string): Samples {
  const samples = new Map<string, { labels: Map<string, string>; value: number }[]>()
  for (const line of text.split('\n')) {
    const [, name, inner, value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line) ?? []
    if (name === undefined || value === undefined) continue
    const labels = new Map<string, string>()
    for (const [, label, text] of (inner ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels.set(label as string, (text as string).replace(/\\(.)/g, '$1'))
    }
    const list = samples.get(name) ?? []
    list.push({ labels, value: Number(value) })
    samples.set(name, list)
  }
  return samples
}

export function between(before: Samples, after: Samples, model: string): Metered {
  const value = (of: Samples, name: string, labels: Record<string, string>): number | undefined => {
    const wanted = Object.entries(labels)
    return of.get(name)?.find((sample) => wanted.every(([label, text]) => sample.labels.get(label) === text))?.value
  }
  const grown = (name: string, labels: Record<string, string>): number | undefined => {
    const now = value(after, name, labels)
    return now === undefined ? undefined : now - (value(before, name, labels) ?? 0)
  }
  const cpu = grown('process_cpu_seconds_total', {})
  if (value(after, 'subten_stage_seconds_count', { model, stage: 'total' }) === undefined) {
    return { cpuUs: cpu === undefined ? undefined : cpu * 1e6 }
  }
  const stage = (name: Stage): StageSummary => {
    const count = grown('subten_stage_seconds_count', { model, stage: name }) ?? 0
    const sum = grown('subten_stage_seconds_sum', { model, stage: name }) ?? 0
    const at = (quantile: string): number =>
      1e6 * (value(after, 'subten_stage_seconds', { model, stage: name, quantile }) ?? 0)
    const max = 1e6 * (value(after, 'subten_stage_seconds_max', { model, stage: name }) ?? 0)
    const mean = count > 0 ? (sum / count) * 1e6 : 0
    return { count, mean, p50: at('0.5'), p95: at('0.95'), p99: at('0.99'), p999: at('0.999'), max }
  }
  const byReason = Object.fromEntries(
    REASONS.map((reason) => [reason, grown('subten_batches_total', { model, reason }) ?? 0]),
  ) as Record<BatchReason, number>
  const count = Object.values(byReason).reduce((sum, n) => sum + n, 0)
  const rows = grown('nv_inference_count', { model }) ?? 0
  return {
    cpuUs: cpu === undefined ? undefined : cpu * 1e6,
    stagesUs: Object.fromEntries(STAGES.map((name) => [name, stage(name)])) as Record<Stage, StageSummary>,
    batches: { count, meanSize: count > 0 ? rows / count : 0, byReason },
  }
}
