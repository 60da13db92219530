import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { load } from '../../../src/load/load.js'
import type { Tensor } from '../../../src/runtime/tensor.js'
import type { LoadOptions, Model } from '../../../src/runtime/types.js'

const open: Model[] = []
const directories: string[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((model) => model.close()))
  await Promise.all(directories.splice(0).map((directory) => rm(directory, { recursive: true, force: true })))
})

/** A model that is closed after the test. */
export async function loaded(path: string, options?: LoadOptions): Promise<Model> {
  return closedAfter((await load(path, options)) as Model)
}

export function closedAfter(model: Model): Model {
  open.push(model)
  return model
}

/** `models/echo`, whose engine burns `busyMs` on each batch. */
export function slowEcho(busyMs: number, options: LoadOptions = {}): Promise<Model> {
  return loaded('models/echo', { ...options, parameters: { busy_us: busyMs * 1000, ...options.parameters } })
}

/** A row of models/echo: 64 times the same number. */
export function row(value: number): { input: Float32Array } {
  return { input: new Float32Array(64).fill(value) }
}

/** A model directory with this config.pbtxt and these files, removed after the test. */
export async function modelDirectory(name: string, config: string, files: Record<string, string | Uint8Array> = {}) {
  const parent = await mkdtemp(join(tmpdir(), 'subten-'))
  directories.push(parent)
  const directory = join(parent, name)
  await mkdir(directory)
  if (config) await writeFile(join(directory, 'config.pbtxt'), config)
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(directory, path, '..'), { recursive: true })
    await writeFile(join(directory, path), content)
  }
  return directory
}

/** A model of the null engine with these settings. */
export async function nullModel(config: string, options?: LoadOptions): Promise<Model> {
  return loaded(await modelDirectory('null', `backend: "subten_null"\n${config}`), options)
}

/** The elements of an FP32 tensor that must be there. */
export function floats(tensor: Tensor | undefined): Float32Array {
  if (!(tensor?.data instanceof Float32Array)) throw new Error('there is no such FP32 tensor')
  return tensor.data
}
