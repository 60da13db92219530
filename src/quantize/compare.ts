import type { Dataset } from '../data/dataset.js'
import { median } from '../profile/median.js'
import { pairedRatio } from '../profile/paired-ratio.js'
import { pairedDifference, wilson } from '../profile/proportions.js'
import { seededRandom } from '../profile/random.js'
import type { Estimate } from '../profile/report-types.js'
import type { Model, Outputs } from '../runtime/types.js'
import { rowsAtOnce, runs } from './calibration-rows.js'

/** How a quantised model answers the same rows as the one it was made of. */
export interface Comparison {
  readonly rows: number
  /** Rows with the same largest score; absent where the model has no scores. */
  readonly agreement?: Estimate
  /** Where the data have labels. */
  readonly top1?: {
    readonly before: Estimate
    readonly after: Estimate
    /** after - before of the same rows, shares. */
    readonly difference: Estimate
  }
  /** Largest difference of an output. */
  readonly maxAbs: number
}

/** The output whose largest element is the answer: the labelled one, or the first with FP scores. */
export function scoresOf(model: Model): string | undefined {
  const floats = model.outputs.filter(({ datatype }) => datatype === 'FP32' || datatype === 'FP16')
  const output = floats.find(({ name }) => model.labels(name) !== undefined) ?? floats[0]
  const classes = output?.shape.at(-1) ?? 1
  return output !== undefined && (classes > 1 || model.labels(output.name) !== undefined) ? output.name : undefined
}

/** Runs both models on rows of the data. */
export async function compareModels(
  before: Model,
  after: Model,
  data: Dataset,
  rows: readonly number[],
  watch: { signal?: AbortSignal | undefined; onProgress?: ((done: number) => void) | undefined } = {},
): Promise<Comparison> {
  const scores = scoresOf(before)
  const { labels } = data
  let [same, rightBefore, rightAfter, gained, lost, maxAbs, done] = [0, 0, 0, 0, 0, 0, 0]
  for (const [from, to] of runs(rows, rowsAtOnce(before))) {
    watch.signal?.throwIfAborted()
    const inputs = await data.rows(from, to)
    const [first, second] = [await before.infer(inputs), await after.infer(inputs)]
    maxAbs = Math.max(maxAbs, largestGap(before, first, second))
    if (scores !== undefined) {
      const [was, is] = [answers(first, scores, to - from), answers(second, scores, to - from)]
      for (let i = 0; i < to - from; i++) {
        if (was[i] === is[i]) same++
        if (labels === undefined) continue
        const [good, better] = [was[i] === labels[from + i], is[i] === labels[from + i]]
        if (good) rightBefore++
        if (better) rightAfter++
        if (better && !good) gained++
        if (good && !better) lost++
      }
    }
    done += to - from
    watch.onProgress?.(done)
  }
  const total = rows.length
  return {
    rows: total,
    maxAbs,
    ...(scores !== undefined && { agreement: wilson(same, total) }),
    ...(scores !== undefined &&
      labels !== undefined && {
        top1: {
          before: wilson(rightBefore, total),
          after: wilson(rightAfter, total),
          difference: pairedDifference(gained, lost, total),
        },
      }),
  }
}

function answers(outputs: Outputs, name: string, rows: number): number[] {
  const scores = outputs[name]?.toFloat32() ?? new Float32Array(0)
  const classes = scores.length / rows
  return Array.from({ length: rows }, (_, row) => {
    let best = 0
    for (let i = 1; i < classes; i++) {
      if ((scores[row * classes + i] as number) > (scores[row * classes + best] as number)) best = i
    }
    return best
  })
}

function largestGap(model: Model, first: Outputs, second: Outputs): number {
  let gap = 0
  for (const { name, datatype } of model.outputs) {
    if (datatype !== 'FP32' && datatype !== 'FP16') continue
    const [one, other] = [first[name]?.toFloat32(), second[name]?.toFloat32()]
    for (let i = 0; i < (one?.length ?? 0); i++) gap = Math.max(gap, Math.abs((one?.[i] ?? 0) - (other?.[i] ?? 0)))
  }
  return gap
}

/** How long one row takes in each model, µs, and how many times as fast the second is. */
export interface Speed {
  readonly beforeUs: number
  readonly afterUs: number
  /** before / after, with its 95 % interval. */
  readonly ratio: Estimate
}

const ROUNDS = 24
const ROUND_MS = 15

/**
 * Times one row, one request at a time. Rounds alternate between the models in an order that a coin decides, so that
 * what else the machine does hits both.
 */
export async function compareSpeed(before: Model, after: Model, data: Dataset, signal?: AbortSignal): Promise<Speed> {
  const inputs = await data.rows(0, 1)
  const runs = Math.max(1, Math.round((ROUND_MS * 1000) / (await timed(before, inputs, 3))))
  await timed(after, inputs, 3)
  const random = seededRandom(1)
  const times: { before: number[]; after: number[] } = { before: [], after: [] }
  for (let round = 0; round < ROUNDS; round++) {
    signal?.throwIfAborted()
    const order = random() < 0.5 ? (['before', 'after'] as const) : (['after', 'before'] as const)
    for (const which of order) times[which].push(await timed(which === 'before' ? before : after, inputs, runs))
  }
  return {
    beforeUs: median(times.before),
    afterUs: median(times.after),
    ratio: pairedRatio(times.after, times.before, 0.95),
  }
}

/** Mean of so many runs, µs. */
async function timed(model: Model, inputs: Parameters<Model['infer']>[0], runs: number): Promise<number> {
  const began = process.hrtime.bigint()
  for (let i = 0; i < runs; i++) await model.infer(inputs)
  return Number(process.hrtime.bigint() - began) / 1000 / runs
}
