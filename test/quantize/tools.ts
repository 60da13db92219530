import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe } from 'vitest'
import type { Context } from '../../src/cli/context.js'
import { run } from '../../src/cli/program.js'
import { type NpyArray, writeNpz } from '../../src/data/npz.js'
import { load } from '../../src/load/load.js'
import type { ToolRequest } from '../../src/quantize/tool-types.js'
import { type ToolsPython, toolsPython } from '../../src/quantize/tools-python.js'
import heldOut from '../data/digits-heldout.json' with { type: 'json' }

export const root = resolve(import.meta.dirname, '../..')

/** The Python of `npm run tools:install`; undefined where it was not run. */
export const python: ToolsPython | undefined = (() => {
  try {
    return toolsPython()
  } catch {
    return undefined
  }
})()

/** Tests that need Python with the pinned packages; reported as skipped where it is not installed. */
export function withTools(name: string, tests: () => void): void {
  describe.skipIf(python === undefined)(name, tests)
}

/** A folder that is removed after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'subten-test-quantize-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function runPython(script: string, ...args: string[]): string {
  const { executable } = python as ToolsPython
  return execFileSync(executable, [script, ...args], { encoding: 'utf8', cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
}

export interface OnnxFacts {
  ops: Record<string, number>
  /** Types of zero points, but those of biases. */
  activations: string[]
  zeroPointsAreZero: boolean
  weights: { type: string; scales: number; largest: number; float: boolean }[]
  weightTypes: string[]
  inputs: string[]
  domains: string[]
  opset: number
  ir: number
}

export const onnxFacts = (file: string): OnnxFacts => JSON.parse(runPython('test/quantize/facts.py', file))

/** A copy of models of this repository. */
export function repositoryWith(folder: string, ...names: string[]): string {
  const repository = join(folder, 'models')
  for (const name of names) cpSync(join(root, 'models', name), join(repository, name), { recursive: true })
  return repository
}

/** The held-out digits as an .npz for `digits`. */
export async function digitsData(folder: string, change?: (pixels: Float32Array) => void): Promise<string> {
  const { images, labels } = heldOut as { images: number[][]; labels: number[] }
  const data = Float32Array.from(images.flat(), (pixel) => pixel / 16)
  change?.(data)
  const image: NpyArray = { datatype: 'FP32', shape: [images.length, 1, 8, 8], data }
  const file = join(folder, change ? 'changed.npz' : 'digits.npz')
  await writeNpz(file, { image, labels: { datatype: 'INT32', shape: [labels.length], data: Int32Array.from(labels) } })
  return file
}

export interface Ran {
  code: number
  out: string
  err: string
}

/** Runs a command line in this process, on real models. */
export async function subten(...args: string[]): Promise<Ran> {
  const [out, err]: [string[], string[]] = [[], []]
  const context: Context = {
    out: (text) => out.push(text),
    err: (text) => err.push(text),
    readStdin: async () => Buffer.alloc(0),
    load: (path, options) => load(path, options),
    systemInfo: () => Promise.reject(new Error('not asked')),
  }
  const code = await run(args, context)
  return { code, out: out.join('\n'), err: err.join('\n') }
}

/** A request for the tool itself, with what most tests want. */
export function request(folder: string, model: string, rows: Record<string, string>, more: Partial<ToolRequest> = {}) {
  const files = Object.entries(rows).map(([input, name]) => [input, join(folder, `${name}.npy`)])
  return {
    model: join(folder, `${model}.onnx`),
    output: join(folder, 'made.onnx'),
    work: mkdtempSync(join(folder, 'work-')),
    precision: 'int8',
    target: 'cpu',
    method: 'minmax',
    percentile: 99.99,
    perChannel: true,
    reduceRange: true,
    exclude: [],
    rows: Object.fromEntries(files),
    analysis: { rows: 16, layers: 0, seconds: 10 },
    ...more,
  } satisfies ToolRequest
}
