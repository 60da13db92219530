// Compiled, not run: against the sources with everything else, and by types.test.ts against the built package, as a user
// of it would, in both module systems. What must not compile is marked @ts-expect-error.
import {
  type ArrayOf,
  attach,
  type Classification,
  type ClassifyOptions,
  type ClassifyTiming,
  type ClassScore,
  type Datatype,
  type ErrorCode,
  type InferEvent,
  type LoadOptions,
  load,
  type Model,
  type Outputs,
  type ShareToken,
  type SloLatency,
  type SloStats,
  type Slot,
  type Stats,
  SubtenError,
  type Tensor,
  type Timing,
  withDeadline,
} from '../../src/index.js'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Fails to compile unless it is given `true`. */
export type Holds<T extends true> = T

declare module '../../src/index.js' {
  interface Models {
    'models/typed': {
      inputs: { image: 'FP32'; ids: 'INT64' }
      outputs: { probabilities: 'FP32'; words: 'BYTES' }
    }
  }
}

/** A path that nobody described: any tensors, checked when it runs. */
export async function untyped(path: string, signal: AbortSignal): Promise<void> {
  const model = await load(path, { memoryMb: 16, max_batch_size: 8, dynamic_batching: { preferred_batch_size: [4] } })
  const outputs = await model.infer({ input: new Float32Array(4) }, { signal, deadlineMs: 5, priority: 1, trace: true })
  const tensor: Tensor | undefined = outputs.anything as Tensor | undefined
  const timing: Timing | undefined = outputs.timing
  const [reason, total]: [string | undefined, number | undefined] = [timing?.reason, timing?.total]
  const settled = await model.inferMany([{ input: ['text'] }], { onError: 'settle' })
  for (const each of settled) each.ok ? each.value : each.error
  const many: Outputs[] = await model.inferMany([{ input: { data: new Float32Array(4), shape: [1, 4] } }])
  const stats: Stats = model.stats().diff(model.stats())
  const token: ShareToken = model.share()
  const again: Model = attach(token)
  const label: string | undefined = model.labels('output')?.[0]
  void [tensor, reason, total, many, stats.stages.queue.p99, again.ref().unref(), label]
  // @ts-expect-error a deadline is a number of milliseconds
  await model.infer({}, { deadlineMs: '5' })
  // @ts-expect-error a model is read-only
  model.name = 'other'
  await model.close()
}

/** A described path: tensor names and arrays are known. */
export async function typed(): Promise<void> {
  const model = await load('models/typed')
  const result = await model.infer({ image: new Float32Array(4), ids: BigInt64Array.of(1n) })
  const data: Float32Array = result.probabilities.data
  const words: string[] | Uint8Array[] = result.words.data
  type Checks = [Holds<Same<typeof result.probabilities, Tensor<'FP32'>>>]
  void [data, words, model.inferSync({ image: { data }, ids: new BigInt64Array(1) }).words, {} as Checks]
  // @ts-expect-error 'ids' is missing
  await model.infer({ image: new Float32Array(4) })
  // @ts-expect-error 'image' is FP32
  await model.infer({ image: new Float64Array(4), ids: new BigInt64Array(1) })
  // @ts-expect-error there is no such output
  void result.other
}

export async function slots(model: Model): Promise<number> {
  const slot: Slot = await model.claim({ rows: 2 })
  const maybe: Slot | null = model.tryClaim()
  maybe?.[Symbol.dispose]()
  const outputs = await slot.submit({ deadlineMs: 5 })
  slot.release()
  await model[Symbol.asyncDispose]()
  return Object.keys(outputs).length
}

export async function pictures(model: Model): Promise<string> {
  const options: ClassifyOptions = { topK: 3, deadlineMs: 20, trace: true, maxPixels: 1e6 }
  const result: Classification = await model.classify(Buffer.alloc(1), options)
  const [first]: readonly (ClassScore | undefined)[] = result.top
  const timing: ClassifyTiming | undefined = result.timing
  await model.classify(new ArrayBuffer(1))
  // @ts-expect-error a path is no picture
  await model.classify('seven.png')
  // @ts-expect-error a picture is no sequence
  await model.classify(new Uint8Array(1), { sequence: { id: 1 } })
  return `${first?.label} ${first?.index} ${first?.score} ${timing?.decode} ${timing?.compute} ${result.servedBy}`
}

export function failures(error: unknown): string {
  if (!(error instanceof SubtenError)) return ''
  const code: ErrorCode = error.code
  // @ts-expect-error no such code
  if (code === 'OOPS') return ''
  return `${code} ${error.message} ${error.remedy} ${error.details.field}`
}

export const deadline: Promise<number> = withDeadline(5, async () => 1)
export const promised: LoadOptions[] = [
  { slo: { p99Ms: 10 }, latencyCache: '/var/cache/subten' },
  { slo: 'contract', sla: 'contract.yaml', latencyCache: false },
  { slo: false, parameters: { 'subten.slo': { p99Ms: 10 }, 'subten.weight': 2, 'subten.image': null } },
  // @ts-expect-error p99Ms is a number
  { slo: { p99Ms: '10' } },
]
export function scheduling(stats: Stats, outputs: Outputs): string {
  const slo: SloStats | undefined = stats.slo
  const latency: SloLatency | undefined = slo?.latencies[0]
  return `${slo?.admitted} ${latency?.basis} ${stats.requests.servedByVariant} ${outputs.servedBy} ${outputs.timing?.servedBy}`
}
export const options: LoadOptions = { wake: 'latency', whenFull: 'wait', parameters: { busy_us: 1 } }
// @ts-expect-error no such way to wake
export const wrong: LoadOptions = { wake: 'never' }
export type Arrays = [Holds<Same<ArrayOf['FP16'], Uint16Array>>, Holds<Same<ArrayOf['BOOL'], Uint8Array>>]
export type Names = [Datatype, InferEvent['model']]
