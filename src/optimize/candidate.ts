import type { LoadOptions } from '../runtime/types.js'
import type { Batching, Candidate } from './types.js'

/** `off`, `b8`, `b8+1ms`, `slo32`: short, and the same for the same setting. */
export function batchingName(batching: Batching): string {
  if (batching.kind === 'off') return 'off'
  if (batching.kind === 'slo') return `slo${batching.maxBatch}`
  const { maxBatch, delayUs } = batching
  return `b${maxBatch}${delayUs === 0 ? '' : `+${delayName(delayUs)}`}`
}

/** In words, for sentences. */
export function batchingText(batching: Batching): string {
  if (batching.kind === 'off') return 'no batching'
  if (batching.kind === 'slo') return `deadline-aware batches of up to ${batching.maxBatch}`
  const { maxBatch, delayUs } = batching
  return `batches of up to ${maxBatch}, ${delayUs === 0 ? 'no queue delay' : `queue delay ${delayName(delayUs)}`}`
}

export function delayName(us: number): string {
  return us === 0 ? '0' : us % 1000 === 0 ? `${us / 1000}ms` : us > 1000 ? `${us / 1000}ms` : `${us}us`
}

export function candidate(parts: Omit<Candidate, 'id'>): Candidate {
  const { variant, engine, batching, instances, threads } = parts
  const id = `${variant} ${engine} ${batchingName(batching)} i${instances}${threads === 0 ? '' : ` t${threads}`}`
  return { id, ...parts }
}

/** `vision_int8, onnxruntime: batches of up to 8, no queue delay; 1 instance of 2 threads` */
export function candidateText({ variant, engine, batching, instances, threads }: Candidate): string {
  const each = threads === 0 ? '' : ` of ${threads === 1 ? '1 thread' : `${threads} threads`}`
  return `${variant} (${engine}): ${batchingText(batching)}; ${instances === 1 ? '1 instance' : `${instances} instances`}${each}`
}

/**
 * What is simpler comes first: the model as it is before a variant, no batching before batching, small batches before
 * large ones, short delays before long ones, few threads before many.
 */
export function simplicity(one: Candidate, base: string): readonly number[] {
  const { batching } = one
  const kind = { off: 0, static: 1, slo: 2 }[batching.kind]
  const rows = batching.kind === 'off' ? 1 : batching.maxBatch
  const delay = batching.kind === 'static' ? batching.delayUs : 0
  const threads = Math.max(1, one.threads)
  return [one.variant === base ? 0 : 1, kind, rows, delay, one.instances * threads, one.instances]
}

export function simplerFirst(base: string): (a: Candidate, b: Candidate) => number {
  return (a, b) => {
    const [left, right] = [simplicity(a, base), simplicity(b, base)]
    const at = left.findIndex((value, i) => value !== right[i])
    if (at >= 0) return (left[at] as number) - (right[at] as number)
    return a.id < b.id ? -1 : a.id > b.id ? 1 : 0
  }
}

/** What the configuration of a model says that a candidate has to keep or to take away. */
export interface GivenSettings {
  readonly preferredBatchSizes: readonly number[]
  /** The first instance group, whose device and kind are kept. */
  readonly group?: Readonly<Record<string, unknown>>
}

/** The settings of config.pbtxt that make a candidate of a model; `null` takes one away. */
export function settingsOf(
  { batching, instances, threads, engine }: Candidate,
  limitUs: number,
  given: GivenSettings,
): {
  readonly [field: string]: unknown
  readonly parameters: Readonly<Record<string, string | null>>
} {
  const parameters: Record<string, string | null> = {
    'subten.slo': batching.kind === 'slo' ? JSON.stringify({ p99Ms: limitUs / 1000 }) : null,
    // Instances that come and go by themselves would not be the ones that were measured.
    'subten.count_min': null,
    'subten.count_max': null,
  }
  if (threads > 0 && engine !== 'null') parameters.intra_op_thread_count = String(threads)
  const group = { ...given.group, count: instances }
  const common = { instance_group: [group], parameters }
  if (batching.kind === 'off') return { ...common, dynamic_batching: null }
  const preferred = given.preferredBatchSizes.filter((rows) => rows <= batching.maxBatch)
  return {
    ...common,
    max_batch_size: batching.maxBatch,
    dynamic_batching: {
      preferred_batch_size: preferred,
      max_queue_delay_microseconds: batching.kind === 'static' ? batching.delayUs : 0,
    },
  }
}

/** The same as options of `load`. */
export function loadOptionsOf(one: Candidate, limitUs: number, given: GivenSettings): LoadOptions {
  return { engine: one.engine, ...settingsOf(one, limitUs, given) } as LoadOptions
}
