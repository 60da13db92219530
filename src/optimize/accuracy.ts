import type { Dataset } from '../data/dataset.js'
import { mcnemar, pairedDifference, wilson } from '../profile/proportions.js'
import { SubtenError } from '../runtime/errors.js'
import type { Model, Outputs, TensorSpec } from '../runtime/types.js'
import type { AccuracyFigures, OutputError, PairedAccuracy } from './types.js'

/** From so many classes on the five best are looked at too. */
const TOP5_FROM = 10
/** Rows a request at most, so that a large data set does not lie in memory twice. */
const ROWS = 64
const FLOATS: ReadonlySet<string> = new Set(['FP16', 'BF16', 'FP32', 'FP64'])

export interface AccuracyOptions {
  /** The model that this one is set beside, row by row. */
  readonly against?: Model
  readonly signal?: AbortSignal
  onProgress?(done: number, of: number): void
}

/**
 * Runs held-out data through a model, and through another where one is given, and says how often the right class came
 * first (and among the first five), with intervals; how the two models differ row by row; and how far their outputs are
 * apart. Without labels only the two models are compared.
 *
 * @throws SubtenError INVALID_INPUT where there is nothing to compare with, labels do not fit the classes, or the
 *   outputs of the two models differ in their form
 */
export async function measureAccuracy(
  model: Model,
  data: Dataset,
  options: AccuracyOptions = {},
): Promise<AccuracyFigures> {
  const { against } = options
  const { labels } = data
  if (labels === undefined && against === undefined) {
    throw new SubtenError('INVALID_INPUT', `${data.path} has no labels, and there is no other model to compare with`, {
      remedy: 'Add an array `labels` with the class of each row, or name another model with --against.',
    })
  }
  const scores = scoresOf(model)
  if (labels !== undefined && scores === undefined) {
    throw new SubtenError('INVALID_INPUT', `model '${model.name}' has no output that holds scores of classes`, {
      remedy:
        'Accuracy needs a floating point output of one dimension beside the batch. Compare outputs with --against and data without labels.',
    })
  }
  const tally = new Tally(labels)
  const apart = new Apart()
  const rows = Math.max(1, Math.min(ROWS, model.maxBatchSize || 1, against ? against.maxBatchSize || 1 : ROWS))
  for (let from = 0; from < data.count; from += rows) {
    options.signal?.throwIfAborted()
    const to = Math.min(data.count, from + rows)
    const inputs = await data.rows(from, to)
    const [own, other] = await Promise.all([model.infer(inputs), against?.infer(inputs)])
    if (scores !== undefined)
      tally.add(from, to - from, floats(own, scores.name), other && floatsIfThere(other, scores.name))
    if (other !== undefined) apart.add(model, own, other, to - from)
    options.onProgress?.(to, data.count)
  }
  return {
    model: model.name,
    engine: model.engine,
    rows: data.count,
    ...(scores === undefined ? {} : tally.own()),
    ...(against === undefined
      ? {}
      : { against: { model: against.name, ...(scores === undefined ? {} : tally.paired()), outputs: apart.error() } }),
  }
}

/** The output that holds a score for each class: the one that has labels, else the only one of that form. */
function scoresOf(model: Model): TensorSpec | undefined {
  const depth = model.maxBatchSize > 0 ? 1 : 0
  const suited = model.outputs.filter(({ datatype, shape }) => {
    if (!FLOATS.has(datatype)) return false
    const dims = shape.slice(depth).filter((size) => size !== 1)
    return dims.length === 1 && dims[0] !== 1
  })
  return suited.find(({ name }) => model.labels(name) !== undefined) ?? (suited.length === 1 ? suited[0] : undefined)
}

function floats(outputs: Outputs, name: string): ArrayLike<number> {
  const tensor = outputs[name]
  if (tensor === undefined) throw new SubtenError('INVALID_INPUT', `the model gave no output '${name}'`)
  if (tensor.datatype === 'FP16' || tensor.datatype === 'BF16') return tensor.toFloat32()
  return tensor.data as unknown as ArrayLike<number>
}

const floatsIfThere = (outputs: Outputs, name: string): ArrayLike<number> | undefined =>
  outputs[name] === undefined ? undefined : floats(outputs, name)

/** Counts of rows that were right. */
class Tally {
  readonly #labels: Int32Array | undefined
  #rows = 0
  #classes = 0
  #top1 = 0
  #top5 = 0
  #agree = 0
  #compared = 0
  #onlyThis = 0
  #onlyOther = 0

  constructor(labels: Int32Array | undefined) {
    this.#labels = labels
  }

  add(from: number, rows: number, own: ArrayLike<number>, other: ArrayLike<number> | undefined): void {
    const classes = own.length / rows
    this.#classes = classes
    this.#rows += rows
    for (let row = 0; row < rows; row++) {
      const best = largest(own, row * classes, classes)
      const label = this.#labels?.[from + row]
      if (label !== undefined) {
        if (!(label >= 0 && label < classes)) {
          throw new SubtenError(
            'INVALID_INPUT',
            `labels: row ${from + row} has class ${label}, and the model has ${classes}`,
          )
        }
        if (best === label) this.#top1++
        if (rankOf(own, row * classes, classes, label) < 5) this.#top5++
      }
      if (other === undefined || other.length !== own.length) continue
      this.#compared++
      const others = largest(other, row * classes, classes)
      if (others === best) this.#agree++
      if (label === undefined) continue
      if (best === label && others !== label) this.#onlyThis++
      if (best !== label && others === label) this.#onlyOther++
    }
  }

  own(): Pick<AccuracyFigures, 'classes' | 'top1' | 'top5'> {
    if (this.#labels === undefined) return { classes: this.#classes }
    const top1 = wilson(this.#top1, this.#rows)
    return {
      classes: this.#classes,
      top1,
      ...(this.#classes < TOP5_FROM ? {} : { top5: wilson(this.#top5, this.#rows) }),
    }
  }

  paired(): Omit<PairedAccuracy, 'model' | 'outputs'> {
    if (this.#compared === 0) return {}
    const agreement = wilson(this.#agree, this.#compared)
    if (this.#labels === undefined) return { agreement }
    return {
      agreement,
      difference: pairedDifference(this.#onlyThis, this.#onlyOther, this.#compared),
      onlyThis: this.#onlyThis,
      onlyOther: this.#onlyOther,
      pValue: mcnemar(this.#onlyThis, this.#onlyOther),
    }
  }
}

function largest(values: ArrayLike<number>, from: number, count: number): number {
  let best = 0
  for (let i = 1; i < count; i++) if ((values[from + i] as number) > (values[from + best] as number)) best = i
  return best
}

/** How many classes go before this one; of equal scores the lower class goes first. */
function rankOf(values: ArrayLike<number>, from: number, count: number, label: number): number {
  const own = values[from + label] as number
  let before = 0
  for (let i = 0; i < count; i++) {
    const value = values[from + i] as number
    if (value > own || (value === own && i < label)) before++
  }
  return before
}

/** Distances of the floating point outputs of two models. */
class Apart {
  #max = 0
  #sum = 0
  #values = 0
  #cosines = 0
  #rows = 0

  add(model: Model, own: Outputs, other: Outputs, rows: number): void {
    const names = model.outputs.filter(({ datatype }) => FLOATS.has(datatype)).map(({ name }) => name)
    const pairs = names.flatMap((name) => {
      const others = floatsIfThere(other, name)
      return others === undefined ? [] : [[name, floats(own, name), others] as const]
    })
    for (const [name, a, b] of pairs) {
      if (a.length === b.length) continue
      throw new SubtenError(
        'INVALID_INPUT',
        `output '${name}' has ${a.length} values here and ${b.length} in the other model`,
      )
    }
    if (pairs.length === 0) {
      throw new SubtenError(
        'INVALID_INPUT',
        `the other model has none of the outputs ${names.join(', ') || '(no floats)'}`,
      )
    }
    for (let row = 0; row < rows; row++) {
      let dot = 0
      let aa = 0
      let bb = 0
      for (const [, a, b] of pairs) {
        const each = a.length / rows
        for (let i = row * each; i < (row + 1) * each; i++) {
          const [x, y] = [a[i] as number, b[i] as number]
          const distance = Math.abs(x - y)
          if (distance > this.#max || Number.isNaN(distance)) this.#max = distance
          this.#sum += distance
          this.#values++
          dot += x * y
          aa += x * x
          bb += y * y
        }
      }
      this.#cosines += aa === 0 && bb === 0 ? 1 : dot / (Math.sqrt(aa) * Math.sqrt(bb) || 1)
      this.#rows++
    }
  }

  error(): OutputError {
    return {
      maxAbs: this.#max,
      meanAbs: this.#sum / Math.max(1, this.#values),
      cosine: this.#cosines / Math.max(1, this.#rows),
    }
  }
}
