import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type Dataset, openDataset } from '../data/dataset.js'
import { type LocatedModel, locate } from '../repository/repository.js'
import { SubtenError } from '../runtime/errors.js'
import type { LoadOptions, Model } from '../runtime/types.js'
import { chosenRows, writeRows } from './calibration-rows.js'
import { type Comparison, compareModels, compareSpeed, type Speed } from './compare.js'
import { beginVariant, type NewModel } from './model-directory.js'
import { runTool } from './run-tool.js'
import type { Method, Precision, Target, ToolPhase, ToolRequest, ToolResult } from './tool-types.js'
import { toolsPython } from './tools-python.js'

/** What is passed on to the tool as it is. */
type ToolSettings = Pick<
  ToolRequest,
  'precision' | 'target' | 'method' | 'percentile' | 'perChannel' | 'reduceRange' | 'exclude'
>

export interface QuantizeOptions extends ToolSettings {
  /** An .npz or a folder of pictures. Static INT8 needs it; the others are compared on it. */
  readonly calibration?: string | undefined
  /** Calibration rows that are used, drawn at random where there are more. */
  readonly rows: number
  /** Model repository to write into; by default the one of the model. */
  readonly out?: string | undefined
  readonly name?: string | undefined
  readonly force?: boolean | undefined
  /** Held-out data that the two models are compared on. */
  readonly data?: string | undefined
  /** Layers that are looked at one by one, and most seconds for that. */
  readonly layers: number
  readonly layerSeconds: number
}

export interface QuantizeWatch {
  load(path: string, options?: LoadOptions): Promise<Model>
  onProgress?(phase: ToolPhase | 'rows' | 'compare' | 'speed', done: number, total: number): void
  onNote?(text: string): void
  signal?: AbortSignal | undefined
}

/** What was made, and how it stands to the model that it was made of. */
export interface Quantized {
  readonly name: string
  /** Its directory. */
  readonly path: string
  readonly from: string
  readonly precision: Precision
  readonly target: Target
  /** Of static INT8. */
  readonly method?: Method
  readonly percentile?: number
  readonly perChannel: boolean
  readonly reduceRange: boolean
  readonly calibration?: { readonly path: string; readonly rows: number; readonly sha256: string }
  readonly bytes: { readonly before: number; readonly after: number }
  readonly tool: ToolResult
  /** On the calibration rows. */
  readonly onCalibration?: Comparison
  /** On the held-out data. */
  readonly onData?: Comparison & { readonly path: string }
  readonly speed?: Speed
}

/** Rows that the layers and the two models are compared on: enough to tell layers apart, few enough for seconds. */
const COMPARED_ROWS = 64

/**
 * Makes a quantised variant of a model, in a directory of its own beside it, and measures what that changed. When it
 * fails or is aborted it leaves nothing behind.
 *
 * @throws SubtenError MODEL_NOT_FOUND, MODEL_INVALID, CONFIG_INVALID, INVALID_INPUT, NOT_SUPPORTED, ENGINE_NOT_FOUND (no
 *   Python), ENGINE_VERSION (other packages), ENGINE_FAILED, OUT_OF_MEMORY
 */
export async function quantize(path: string, options: QuantizeOptions, watch: QuantizeWatch): Promise<Quantized> {
  const { signal } = watch
  const python = toolsPython()
  const source = await locate(path)
  const file = onnxFile(source)
  const opened: Model[] = []
  const open = async (where: string): Promise<Model> => {
    const model = await watch.load(where, { engine: 'onnxruntime', slo: false })
    opened.push(model)
    return model
  }
  const work = await mkdtemp(join(tmpdir(), 'subten-quantize-'))
  let variant: NewModel | undefined
  try {
    signal?.throwIfAborted()
    const model = await open(path)
    const calibration = options.calibration === undefined ? undefined : await openDataset(options.calibration, model)
    const held = options.data === undefined ? undefined : await openDataset(options.data, model)
    const rows = calibration === undefined ? [] : usedRows(calibration, options.rows)
    variant = await beginVariant(source, options.name ?? nameOf(source.name, options), {
      repository: options.out,
      force: options.force,
    })
    watch.onProgress?.('rows', 0, rows.length)
    const files = calibration === undefined ? null : await writeRows(calibration, model, rows, work, signal)
    const request = {
      model: file,
      output: variant.file,
      work,
      precision: options.precision,
      target: options.target,
      method: options.method,
      percentile: options.percentile,
      perChannel: options.perChannel,
      reduceRange: options.reduceRange && options.target === 'cpu',
      exclude: options.exclude,
      rows: files,
      analysis: { rows: COMPARED_ROWS, layers: options.layers, seconds: options.layerSeconds },
    }
    const tool = await runTool(python, request, {
      signal,
      onEvent: (event) =>
        event.event === 'note' ? watch.onNote?.(event.text) : watch.onProgress?.(event.phase, event.done, event.total),
    })
    const facts = factsOf(source, options, tool, calibration, rows.length)
    await variant.configure({ 'subten.quantization': facts })
    const after = await open(variant.folder)
    const measured = await measure(model, after, { calibration, rows, held, options, watch })
    const bytes = { before: tool.sourceBytes, after: (await stat(variant.file)).size }
    const made = quantizedOf(source, variant, options, { tool, bytes, calibration, rows: rows.length, ...measured })
    const accuracy = accuracyOf(made)
    await variant.configure({ 'subten.quantization': facts, ...(accuracy && { 'subten.accuracy': accuracy }) })
    await variant.write('quantization.json', `${JSON.stringify(withoutPlaces(made), null, 2)}\n`)
    signal?.throwIfAborted()
    await after.close()
    await variant.commit()
    return made
  } finally {
    await Promise.allSettled(opened.map((model) => model.close()))
    await variant?.discard()
    await rm(work, { recursive: true, force: true })
  }
}

function onnxFile(source: LocatedModel): string {
  const { file, engine, name } = source
  if (file?.toLowerCase().endsWith('.onnx')) return file
  throw new SubtenError('NOT_SUPPORTED', `model '${name}' (backend "${engine.backend}") is no ONNX file`, {
    remedy:
      'Only ONNX models can be quantised. Where the directory of another backend holds one, give the .onnx file itself.',
  })
}

function usedRows(data: Dataset, most: number): number[] {
  if (data.count > 0) return chosenRows(data.count, most)
  throw new SubtenError('INVALID_INPUT', `${data.path}: the calibration set is empty`, {
    remedy: 'Give rows that are like those in service; some hundred do.',
  })
}

/** `vision` → `vision_int8`; what is not the usual has a longer name. */
function nameOf(name: string, { precision, target }: QuantizeOptions): string {
  const words = { int8: '_int8', 'int8-dynamic': '_int8_dynamic', fp16: '_fp16' }
  return `${name}${words[precision]}${precision === 'int8' && target === 'tensorrt' ? '_tensorrt' : ''}`
}

interface Measured {
  onCalibration?: Comparison
  onData?: Comparison & { path: string }
  speed?: Speed
}

async function measure(
  before: Model,
  after: Model,
  given: {
    calibration: Dataset | undefined
    rows: readonly number[]
    held: Dataset | undefined
    options: QuantizeOptions
    watch: QuantizeWatch
  },
): Promise<Measured> {
  const { calibration, rows, held, watch } = given
  const { signal } = watch
  const measured: Measured = {}
  const total = rows.length + (held?.count ?? 0)
  if (calibration !== undefined) {
    const onProgress = (done: number): void => watch.onProgress?.('compare', done, total)
    measured.onCalibration = await compareModels(before, after, calibration, rows, { signal, onProgress })
  }
  if (held !== undefined) {
    const onProgress = (done: number): void => watch.onProgress?.('compare', rows.length + done, total)
    const all = chosenRows(held.count, held.count)
    measured.onData = { path: held.path, ...(await compareModels(before, after, held, all, { signal, onProgress })) }
  }
  const timed = calibration ?? held
  if (timed !== undefined) {
    watch.onProgress?.('speed', 0, 1)
    measured.speed = await compareSpeed(before, after, timed, signal)
  }
  return measured
}

const PRECISION_NAMES: Readonly<Record<Precision, string>> = {
  int8: 'INT8',
  'int8-dynamic': 'INT8_DYNAMIC',
  fp16: 'FP16',
}

/** The parameter `subten.quantization`, by which variants of a model are found. */
function factsOf(
  source: LocatedModel,
  options: QuantizeOptions,
  tool: ToolResult,
  data: Dataset | undefined,
  rows: number,
): object {
  const { precision, target } = options
  return {
    from: source.name,
    precision: PRECISION_NAMES[precision],
    ...(precision === 'int8' && {
      method: options.method,
      ...(options.method === 'percentile' && { percentile: options.percentile }),
      activations: target === 'tensorrt' ? 'S8' : 'U8',
    }),
    ...(precision !== 'fp16' && { perChannel: options.perChannel, target }),
    excluded: tool.excluded,
    ...(precision === 'int8' && data !== undefined && { calibration: { rows, sha256: data.sha256 } }),
  }
}

/** For the file that goes where the model goes: paths of this machine mean nothing there. */
function withoutPlaces({ path: _path, calibration, onData, ...made }: Quantized): object {
  return {
    ...made,
    ...(calibration && { calibration: { ...calibration, path: basename(calibration.path) } }),
    ...(onData && { onData: { ...onData, path: basename(onData.path) } }),
  }
}

/** The parameter `subten.accuracy`; undefined without labelled held-out data. */
function accuracyOf({ onData }: Quantized): object | undefined {
  if (onData?.top1 === undefined) return undefined
  const { value, low, high } = onData.top1.after
  const short = (share: number): number => Number(share.toFixed(5))
  return { top1: short(value), low: short(low), high: short(high), n: onData.rows, data: basename(onData.path) }
}

function quantizedOf(
  source: LocatedModel,
  variant: NewModel,
  options: QuantizeOptions,
  found: Measured & { tool: ToolResult; bytes: Quantized['bytes']; calibration: Dataset | undefined; rows: number },
): Quantized {
  const { calibration, rows, ...rest } = found
  const isStatic = options.precision === 'int8'
  return {
    name: variant.name,
    path: variant.path,
    from: source.name,
    precision: options.precision,
    target: options.target,
    ...(isStatic && { method: options.method }),
    ...(isStatic && options.method === 'percentile' && { percentile: options.percentile }),
    perChannel: options.perChannel,
    reduceRange: options.reduceRange && options.target === 'cpu',
    ...(calibration !== undefined && {
      calibration: { path: calibration.path, rows, sha256: calibration.sha256 },
    }),
    ...rest,
  }
}
