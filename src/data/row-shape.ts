import { SubtenError } from '../runtime/errors.js'
import type { Model, TensorSpec } from '../runtime/types.js'

/** The shape of one row of an input, and whether several of them go into one request. */
export interface RowShape {
  /** Without the leading dimension; -1: any size. */
  readonly row: readonly number[]
  /** The shape of a request with `rows` rows. */
  of(rows: number, row: readonly number[]): number[]
  readonly several: boolean
}

/**
 * How rows of data become requests: a batching model and one whose first dimension is unknown take several at once; any
 * other takes one row, with a leading dimension of 1 where it has that and none where it has not.
 */
export function rowShapeOf(model: Model, { shape }: TensorSpec): RowShape {
  const [first] = shape
  const leading = first === -1 || first === 1 || (model.maxBatchSize > 0 && shape.length > 0)
  const row = leading ? shape.slice(1) : shape
  const several = model.maxBatchSize > 0 || first === -1
  return { row, several, of: (rows, given) => (leading ? [rows, ...given] : [...given]) }
}

/** INVALID_INPUT unless `from` and `to` are a range of the rows, and of one row where the model takes no more. */
export function checkRange(path: string, count: number, from: number, to: number, several: boolean): void {
  if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from < to && to <= count)) {
    throw new SubtenError('INVALID_INPUT', `${path} has no rows from ${from} to before ${to}: it has ${count}`)
  }
  if (to - from > 1 && !several) {
    throw new SubtenError('INVALID_INPUT', `${path}: the model takes one row at a time, not ${to - from}`)
  }
}

/** Which rows a limit leaves: all, or so many spread evenly, the first among them. */
export function spread(count: number, limit: number | undefined): Int32Array {
  const wanted = Math.min(count, limit ?? count)
  return Int32Array.from({ length: wanted }, (_, i) => Math.floor((i * count) / wanted))
}

/** Classes that the model tells apart, where labels or its output tell how many; and their labels. */
export function classesOf(model: Model): {
  readonly count: number | undefined
  readonly labels: readonly string[] | undefined
} {
  const numeric = model.outputs.filter((output) => output.datatype !== 'BYTES')
  const output = numeric.find(({ name }) => model.labels(name) !== undefined) ?? numeric[0]
  const labels = output === undefined ? undefined : model.labels(output.name)
  const last = output?.shape.at(-1) ?? -1
  return { labels, count: last > 1 ? last : labels?.length }
}
