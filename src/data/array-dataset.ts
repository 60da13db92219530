import { createHash } from 'node:crypto'
import { type NumericData, STORAGE } from '../runtime/datatype.js'
import type { Inputs, Model, TensorSpec } from '../runtime/types.js'
import { converted, misfit } from './convert.js'
import { dataError } from './data-error.js'
import { type NpyArray, readNpz } from './npz.js'
import { checkRange, classesOf, type RowShape, rowShapeOf, spread } from './row-shape.js'
import type { Dataset } from './types.js'

const LABELS = 'labels'

/** One input of the model, and the array that has its rows. */
interface Column {
  readonly spec: TensorSpec
  readonly name: string
  readonly array: NpyArray
  readonly shape: RowShape
  /** The shape of one row in the array. */
  readonly row: readonly number[]
}

/** An .npz as rows of a model (see `openDataset`). */
export async function openArrays(file: string, model: Model, limit: number | undefined): Promise<Dataset> {
  const arrays = await readNpz(file)
  const columns = model.inputs.flatMap((spec) => columnOf(file, model, spec, arrays) ?? [])
  const [first] = columns
  if (first === undefined)
    throw dataError({ file, wanted: 'an array for an input of the model', given: 'there is none' })
  const all = first.array.shape[0] as number
  for (const { name, array } of columns) {
    if (array.shape[0] === all) continue
    throw dataError({
      file,
      array: name,
      wanted: `${all} rows as in '${first.name}'`,
      given: `it has ${array.shape[0]}`,
    })
  }
  if (all === 0) throw dataError({ file, array: first.name, wanted: 'at least one row', given: 'it has none' })
  const picked = spread(all, limit)
  const labels = columns.some(({ name }) => name === LABELS) ? undefined : labelsOf(file, model, arrays, all, picked)
  const several = columns.every(({ shape }) => shape.several)
  return {
    path: file,
    count: picked.length,
    ...(labels === undefined ? {} : { labels }),
    sha256: digest(columns, picked, labels),
    async rows(from, to) {
      checkRange(file, picked.length, from, to, several)
      const inputs: Record<string, Inputs[string]> = Object.create(null)
      const indices = picked.subarray(from, to)
      for (const { spec, array, shape, row } of columns) {
        const data = converted(array.datatype, take(array, indices), spec.datatype)
        inputs[spec.name] = { data, shape: shape.of(indices.length, row), datatype: spec.datatype }
      }
      return inputs
    },
  }
}

function columnOf(
  file: string,
  model: Model,
  spec: TensorSpec,
  arrays: ReadonlyMap<string, NpyArray>,
): Column | undefined {
  const shape = rowShapeOf(model, spec)
  const found = arrays.has(spec.name) ? spec.name : onlyFitting(model, spec, shape, arrays)
  const wanted = `${spec.datatype} [rows, ${spec.shape.length === shape.row.length ? spec.shape : shape.row}]`
  if (found === undefined) {
    if (spec.optional) return undefined
    const there = [...arrays].map(([name, { datatype, shape }]) => `'${name}' ${datatype} [${shape}]`).join(', ')
    throw dataError({ file, array: spec.name, wanted, given: there ? `there is only ${there}` : 'there is no array' })
  }
  const array = arrays.get(found) as NpyArray
  const row = rowIn(array, spec, shape)
  if (row === undefined) throw dataError({ file, array: found, wanted, given: `it is [${array.shape}]` })
  const problem = misfit(array.datatype, array.data, spec.datatype)
  if (problem !== undefined) {
    const remedy = `Save it with array.astype(numpy.${numpyName(spec.datatype)}).`
    throw dataError({
      file,
      array: found,
      wanted: `numbers that ${spec.datatype} holds exactly`,
      given: problem,
      remedy,
    })
  }
  return { spec, name: found, array, shape, row }
}

/** The one array that fits the only input of a model, whatever it is called. */
function onlyFitting(
  model: Model,
  spec: TensorSpec,
  shape: RowShape,
  arrays: ReadonlyMap<string, NpyArray>,
): string | undefined {
  if (model.inputs.length !== 1) return undefined
  const fitting = [...arrays].filter(([name, array]) => name !== LABELS && rowIn(array, spec, shape) !== undefined)
  return fitting.length === 1 ? fitting[0]?.[0] : undefined
}

/** The shape of the array's rows where the model takes it. */
function rowIn(array: NpyArray, spec: TensorSpec, { row, several }: RowShape): readonly number[] | undefined {
  const own = array.shape.slice(1)
  if (array.shape.length === 0) return undefined
  const fits = (wanted: readonly number[]): boolean =>
    own.length === wanted.length && wanted.every((size, i) => size === -1 || size === own[i])
  if (fits(row)) return own
  // Rows that have the leading 1 of the model's own shape.
  return !several && fits(spec.shape) ? own.slice(spec.shape.length - row.length) : undefined
}

/** Rows of an array, one after the other. */
function take({ datatype, shape, data }: NpyArray, indices: Int32Array): NumericData {
  const length = shape.slice(1).reduce((all, size) => all * size, 1)
  const [from = 0] = indices
  const neighbours = indices.every((index, i) => index === from + i)
  if (neighbours) return data.subarray(from * length, (from + indices.length) * length)
  const out = new STORAGE[datatype].array(indices.length * length)
  for (const [i, index] of indices.entries()) {
    out.set(data.subarray(index * length, (index + 1) * length) as never, i * length)
  }
  return out
}

function labelsOf(
  file: string,
  model: Model,
  arrays: ReadonlyMap<string, NpyArray>,
  rows: number,
  picked: Int32Array,
): Int32Array | undefined {
  const array = arrays.get(LABELS)
  if (array === undefined) return undefined
  const [own, ...more] = array.shape
  if (own !== rows || more.some((size) => size !== 1)) {
    throw dataError({ file, array: LABELS, wanted: `one for each of ${rows} rows`, given: `it is [${array.shape}]` })
  }
  const wrongType = misfit(array.datatype, array.data, 'INT32')
  if (wrongType !== undefined) {
    throw dataError({ file, array: LABELS, wanted: 'indices of classes, whole numbers', given: wrongType })
  }
  const { count = Number.POSITIVE_INFINITY } = classesOf(model)
  return picked.map((index) => {
    const label = Number(array.data[index])
    if (label >= 0 && label < count) return label
    const wanted = `a class from 0 to ${count === Number.POSITIVE_INFINITY ? 'the last' : count - 1}`
    throw dataError({ file, array: LABELS, wanted, given: `row ${index} is ${label}` })
  })
}

/** Over the rows that are used, input by input in the order of their names, and their labels. */
function digest(columns: readonly Column[], picked: Int32Array, labels: Int32Array | undefined): string {
  const hash = createHash('sha256')
  for (const { spec, array, row } of [...columns].sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1))) {
    hash.update(`${JSON.stringify([spec.name, array.datatype, picked.length, ...row])}\n`)
    const { buffer, byteOffset, byteLength } = array.data
    const length = byteLength / (array.shape[0] as number)
    const bytes = new Uint8Array(buffer, byteOffset, byteLength)
    for (const index of picked) hash.update(bytes.subarray(index * length, (index + 1) * length))
  }
  if (labels !== undefined) hash.update(`${LABELS}\n`).update(labels)
  return hash.digest('hex')
}

const NUMPY_NAMES: Readonly<Record<string, string>> = {
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  BOOL: 'bool_',
}

function numpyName(datatype: string): string {
  return NUMPY_NAMES[datatype] ?? datatype.toLowerCase()
}
