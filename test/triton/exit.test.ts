import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { files, REPOSITORY, withTriton } from './triton.js'

const setup = `
  import { load } from './dist/index.js'
  const add = await load('${REPOSITORY}/add_sub_py', { engine: 'triton' })
  const inputs = { INPUT0: new Float32Array(4).fill(1), INPUT1: new Float32Array(4).fill(2) }
  await add.infer(inputs)
  const loop = () => add.infer(inputs).then(loop, () => {})
  console.log('up')
`

interface Ended {
  code: number | null
  signal: string | null
  ms: number
  text: string
}

/** A process that runs `script`; `up` is called when it says so. */
function run(script: string, up?: (kill: (signal: NodeJS.Signals) => void) => void): Promise<Ended> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  let text = ''
  const since = performance.now()
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), 25_000)
    const listen = (data: Buffer): void => {
      text += data
      if (text.includes('up\n')) up?.((signal) => child.kill(signal))
    }
    child.stdout.on('data', listen)
    child.stderr.on('data', listen)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, ms: performance.now() - since, text: text.slice(-2000) })
    })
  })
}

withTriton('a process', ['add_sub_py', 'repeat_py'], () => {
  it.each<[string, string, number]>([
    ['whose event loop is empty', '', 0],
    ['that closes its model', 'await add.close()', 0],
    [
      'that calls process.exit() in the middle of requests',
      'for (let i = 0; i < 8; i++) loop(); setTimeout(() => process.exit(3), 50)',
      3,
    ],
    [
      'that throws in the middle of requests',
      "for (let i = 0; i < 8; i++) loop(); setTimeout(() => { throw new Error('x') }, 50)",
      1,
    ],
    [
      'that calls process.exit() in the middle of a stream',
      `const repeat = await load('${REPOSITORY}/repeat_py', { engine: 'triton' })
       for await (const _ of repeat.stream({ IN: Int32Array.of(100000) })) { setTimeout(() => process.exit(4), 30) }`,
      4,
    ],
    [
      'that calls process.exit() while a model loads',
      `load('${REPOSITORY}/repeat_py', { engine: 'triton' }); process.exit(5)`,
      5,
    ],
  ])('%s ends by itself, with its code', async (_, script, code) => {
    const ended = await run(setup + script)
    expect(ended).toMatchObject({ code, signal: null })
  })

  it('that gets SIGTERM ends', async () => {
    const ended = await run(`${setup}; for (let i = 0; i < 8; i++) loop()`, (kill) => setTimeout(kill, 100, 'SIGTERM'))
    expect(ended.signal).toBe('SIGTERM')
  })

  it('whose Python backend has a stub that dies at once says so twice and ends', { timeout: 40_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'subten-dead-stub-'))
    try {
      cpSync(join(files?.backendDirectory ?? '', 'python'), join(folder, 'python'), { recursive: true })
      const stub = join(folder, 'python', 'triton_python_backend_stub')
      rmSync(stub)
      writeFileSync(stub, '#!/bin/sh\nexit 1\n', { mode: 0o755 })
      const ended = await run(`
        import { load } from './dist/index.js'
        const options = { engine: 'triton', triton: { backendDirectory: '${folder}' } }
        for (let i = 0; i < 2; i++) {
          await load('${REPOSITORY}/add_sub_py', options).catch((error) => console.log(error.code, error.message))
        }
      `)
      expect(ended).toMatchObject({ code: 0, signal: null })
      expect(ended.text).toMatch(/MODEL_INVALID .*ended while it started[\s\S]*MODEL_INVALID .*still waits/)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
