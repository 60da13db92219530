import type { Context, SystemInfo } from '../../../src/cli/context.js'
import { run } from '../../../src/cli/program.js'
import { SubtenError } from '../../../src/runtime/errors.js'
import type { Model } from '../../../src/runtime/types.js'
import { fakeModel } from '../../../src/testing.js'

export interface Ran {
  code: number
  out: string
  err: string
}

export interface Fakes {
  models?: Record<string, () => Model>
  stdin?: Buffer
  system?: SystemInfo | Error
  /** What measures in processes of its own. */
  program?: string
}

export const vectorModel = (): Model =>
  fakeModel(
    {
      name: 'vector',
      maxBatchSize: 8,
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 3] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 3] }],
      labels: { y: ['a', 'b', 'c'] },
      metadata: { producer: 'a test' },
    },
    { outputs: (given) => ({ y: given.x as never }) },
  )

/** Runs one command line against models that are no files. */
export async function subten(args: string[], fakes: Fakes = {}): Promise<Ran> {
  const out: string[] = []
  const err: string[] = []
  const models: Record<string, () => Model> = { 'models/vector': vectorModel, ...fakes.models }
  const context: Context = {
    out: (text) => out.push(text),
    err: (text) => err.push(text),
    readStdin: async () => fakes.stdin ?? Buffer.alloc(0),
    load: async (path) => {
      const make = models[path]
      if (!make) throw new SubtenError('MODEL_NOT_FOUND', `there is no model at ${path}`)
      return make()
    },
    program: fakes.program,
    systemInfo: async () => {
      if (fakes.system === undefined || fakes.system instanceof Error) throw fakes.system ?? new Error('no addon')
      return fakes.system
    },
  }
  const code = await run(args, context)
  return { code, out: out.join('\n'), err: err.join('\n') }
}
