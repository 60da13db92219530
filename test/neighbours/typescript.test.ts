// TypeScript programs that depend on subten: every way of resolving modules, both module systems, libraries checked too.
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { declarations } from '../../src/cli/types.js'
import { makeConsumer, root } from '../e2e/consumer.js'

vi.setConfig({ testTimeout: 300_000, hookTimeout: 120_000 })

const program = `
import { load, SubtenError, type Model, type Tensor } from 'subten'
import { fakeModel } from 'subten/testing'

export async function classify(path: string): Promise<number> {
  const model: Model = await load(path)
  const known = await load('models/digits')
  const { probabilities } = await known.infer({ image: new Float32Array(64) })
  const tensor: Tensor<'FP32'> = probabilities
  // @ts-expect-error the compiler knows the names of this model's outputs
  probabilities.nothing
  // @ts-expect-error and the names of its inputs
  await known.infer({ picture: new Float32Array(64) }).catch((error: unknown) => error instanceof SubtenError && error.code)
  await using other = fakeModel({ outputs: {} } as never) as Model
  return tensor.data.length + model.inputs.length + other.outputs.length
}
`

const options = {
  strict: true,
  skipLibCheck: false,
  noEmit: true,
  target: 'es2022',
  lib: ['es2023', 'esnext.disposable'],
  types: ['node'],
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: false,
}

let user: string
beforeAll(() => {
  user = makeConsumer()
  // As `subten types models` writes it.
  const spec = (name: string, shape: number[]) => [{ name, datatype: 'FP32' as const, shape }]
  const typed = declarations([
    { path: 'models/digits', inputs: spec('image', [-1, 1, 8, 8]), outputs: spec('probabilities', [-1, 10]) },
  ])
  for (const type of ['module', 'commonjs']) {
    const folder = join(user, type)
    mkdirSync(folder)
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: type, private: true, type }))
    writeFileSync(join(folder, 'subten.d.ts'), typed)
    for (const ending of ['ts', 'mts', 'cts']) writeFileSync(join(folder, `app.${ending}`), program)
  }
})
afterAll(() => rmSync(user, { recursive: true, force: true }))

function compile(folder: string, compilerOptions: object): Promise<string> {
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...options, ...compilerOptions }, include: ['*.ts', '*.mts', '*.cts'] }),
  )
  const child = spawn(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder])
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  return new Promise((done) => child.on('close', (code) => done(code === 0 ? '' : output || `tsc ended with ${code}`)))
}

it.each([
  ['module', 'node16', 'node16'],
  ['commonjs', 'node16', 'node16'],
  ['module', 'nodenext', 'nodenext'],
  ['commonjs', 'nodenext', 'nodenext'],
  ['module', 'esnext', 'bundler'],
  ['commonjs', 'preserve', 'bundler'],
])(
  'a package of type %s compiles with module %s and moduleResolution %s, and one subten.d.ts holds for all its files',
  async (type, module, moduleResolution) => {
    expect(await compile(join(user, type), { module, moduleResolution })).toBe('')
  },
)

it('the declarations of both formats are one', () => {
  expect(readFileSync(join(root, 'dist/index.d.ts'), 'utf8')).toBe("export * from './index.cjs'\n")
})
