import { spawn } from 'node:child_process'
import { expect, it } from 'vitest'

/** The short version of `npm run test:stress`, with a seed of its own each time; the output names it. */
async function stress(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, ['--expose-gc', 'test/stress/main.mjs', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, MALLOC_ARENA_MAX: '2' },
    timeout: 280_000,
    killSignal: 'SIGKILL',
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk
    })
  }
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, output }
}

it('fifty thousand requests of eight worker threads each end once, with their own results and exact counts', async () => {
  const { code, output } = await stress('--requests', '50000', '--more', '0', '--cycles', '0')
  expect(code, output).toBe(0)
  expect(output).toMatch(/stress: passed with seed \d+/)
}, 300_000)

it('load/close cycles of every engine, and loads of a bad model, leave no thread, handle or mapping', async () => {
  const { code, output } = await stress('--requests', '0', '--more', '0', '--cycles', '60')
  expect(code, output).toBe(0)
  expect(output).toContain('60 load/close cycles, onnxruntime, refused')
}, 300_000)
