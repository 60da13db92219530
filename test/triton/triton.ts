import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe } from 'vitest'
import { load } from '../../src/load/load.js'
import { tritonFiles } from '../../src/load/triton-files.js'
import { STORAGE } from '../../src/runtime/datatype.js'
import type { LoadOptions, Model, Outputs } from '../../src/runtime/types.js'
import { closedAfter } from '../unit/runtime/loaded.js'

export const REPOSITORY = resolve('models')
export const { files } = tritonFiles()

/** Tests that need Triton's library, and these models of the repository; reported as skipped where they are not there. */
export function withTriton(name: string, models: readonly string[], tests: () => void): void {
  const there = files !== undefined && models.every((model) => existsSync(`${REPOSITORY}/${model}`))
  describe.skipIf(!there)(name, tests)
}

/** Whether Triton has a Python environment for its Python backend. */
export const python = files?.python

/** A model of `models`, closed after the test. */
export async function triton(name: string, options: LoadOptions = {}): Promise<Model> {
  return closedAfter((await load(`${REPOSITORY}/${name}`, { engine: 'triton', ...options })) as Model)
}

export function addSub(a: number, b: number): { INPUT0: Float32Array; INPUT1: Float32Array } {
  return { INPUT0: new Float32Array(4).fill(a), INPUT1: new Float32Array(4).fill(b) }
}

export function firstOf(outputs: Outputs | undefined, name: string): number {
  const data = outputs?.[name]?.data as ArrayLike<number | bigint> | undefined
  return Number(data?.[0])
}

/** The first input of a model, filled with a number. */
export function only(model: Model, value: number): Record<string, { data: never; shape: number[] }> {
  const [input] = model.inputs
  if (input === undefined) throw new Error('the model has no input')
  const shape = input.shape.map((dim, i) => (dim >= 0 ? dim : i === 0 ? 1 : 1))
  const data = new STORAGE[input.datatype].array(shape.reduce((a, b) => a * b, 1))
  const element = input.datatype.endsWith('64') && input.datatype !== 'FP64' ? BigInt(value) : value
  ;(data as Float32Array).fill(element as number)
  return { [input.name]: { data: data as never, shape } }
}
