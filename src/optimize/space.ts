import { candidate } from './candidate.js'
import type { Batching, Candidate } from './types.js'

/** What is known of a model file before anything is measured. */
export interface SpaceModel {
  readonly name: string
  /** Rows that one run may have; 0 or 1 where the model takes no batches. */
  readonly maxBatchSize: number
  /** Engines that can run it, and whether they take a number of threads. */
  readonly engines: readonly { readonly name: string; readonly threads: boolean }[]
  /** Subten cannot order its requests by deadlines: why. */
  readonly noDeadlines?: string
}

export interface SpaceOptions {
  readonly cpus: number
  readonly limitUs: number
  /** Batch sizes; 1 is no batching. */
  readonly batches?: readonly number[]
  readonly delays?: readonly (number | 'off' | 'slo')[]
  readonly instances?: readonly number[]
  readonly threads?: readonly number[]
}

export interface Space {
  readonly candidates: readonly Candidate[]
  readonly leftOut: readonly { readonly what: string; readonly why: string }[]
}

/**
 * The settings worth measuring. By default, for a machine with n CPUs: no batching, batches of 4, 8 and the most that the
 * model takes with no queue delay and one of 1 ms, and deadline-aware batching; one instance of one thread, one of n
 * threads, n instances of one thread. What cannot work is left out, and why is said once for each reason.
 */
export function spaceOf(models: readonly SpaceModel[], options: SpaceOptions): Space {
  const candidates: Candidate[] = []
  const leftOut = new Map<string, string>()
  for (const model of models) {
    const batchings = batchingsOf(model, options, leftOut)
    for (const engine of model.engines) {
      for (const { instances, threads } of workersOf(engine.threads, options, leftOut)) {
        for (const batching of batchings) {
          candidates.push(candidate({ variant: model.name, engine: engine.name, batching, instances, threads }))
        }
      }
    }
  }
  return { candidates, leftOut: [...leftOut].map(([what, why]) => ({ what, why })) }
}

function batchingsOf(model: SpaceModel, options: SpaceOptions, leftOut: Map<string, string>): Batching[] {
  const most = Math.max(1, model.maxBatchSize)
  const delays = options.delays ?? ['off', 0, 1000, 'slo']
  const asked = options.batches ?? defaultBatches(most)
  const sizes = [...new Set(asked)].sort((a, b) => a - b).filter((rows) => rows > 1)
  const found: Batching[] = []
  // A list of delays without `off` still has it where batch size 1 was asked for.
  if (delays.includes('off') && (options.batches === undefined || asked.includes(1) || options.delays !== undefined)) {
    found.push({ kind: 'off' })
  } else if (asked.includes(1)) found.push({ kind: 'off' })
  const usable = sizes.filter((maxBatch) => maxBatch <= most)
  for (const rows of sizes) {
    if (rows > most) leftOut.set(`${model.name}: batches of ${rows}`, reasonForSize(model, most))
  }
  if (most === 1 && sizes.length === 0 && delays.some((delay) => delay !== 'off')) {
    leftOut.set(`${model.name}: batching`, reasonForSize(model, most))
  }
  for (const maxBatch of usable) {
    for (const delay of delays) {
      if (typeof delay !== 'number') continue
      if (delay >= options.limitUs) {
        leftOut.set(`a queue delay of ${delay / 1000} ms`, 'waiting alone would take as long as the contract allows')
      } else found.push({ kind: 'static', maxBatch, delayUs: delay })
    }
  }
  const largest = usable.at(-1)
  if (delays.includes('slo') && largest !== undefined) {
    if (model.noDeadlines === undefined) found.push({ kind: 'slo', maxBatch: largest })
    else leftOut.set(`${model.name}: deadline-aware batching`, model.noDeadlines)
  }
  return found
}

const reasonForSize = (model: SpaceModel, most: number): string =>
  most === 1
    ? `the model takes one row a run (max_batch_size ${model.maxBatchSize})`
    : `the model's max_batch_size is ${model.maxBatchSize}`

function defaultBatches(most: number): number[] {
  return [1, 4, 8, Math.min(most, 64)].filter((rows) => rows <= most)
}

function workersOf(
  hasThreads: boolean,
  { cpus, instances, threads }: SpaceOptions,
  leftOut: Map<string, string>,
): { instances: number; threads: number }[] {
  const counts = [...new Set(instances ?? [1, cpus])].sort((a, b) => a - b)
  const widths = hasThreads ? [...new Set(threads ?? [1, cpus])].sort((a, b) => a - b) : [0]
  const found: { instances: number; threads: number }[] = []
  for (const count of counts) {
    for (const width of widths) {
      // One more than there are CPUs fills the moments in which an instance gathers inputs.
      if (count * Math.max(1, width) <= cpus + 1) found.push({ instances: count, threads: width })
      else {
        const what = `${count} instances${width === 0 ? '' : ` of ${width} threads`}`
        leftOut.set(what, `${count * Math.max(1, width)} compute threads on ${cpus} CPUs take time from each other`)
      }
    }
  }
  return found
}
