// onnxruntime-node in the process of subten. More versions at once: onnxruntime-versions.full.ts.
import { expect, it, vi } from 'vitest'
import { difference, newest, run, subten } from './onnxruntime-node.js'

vi.setConfig({ testTimeout: 120_000 })

it.each([
  ['subten, then onnxruntime-node', [subten, newest], false],
  ['onnxruntime-node, then subten', [newest, subten], false],
  ['subten, then onnxruntime-node, in worker threads', [subten, newest], true],
  ['onnxruntime-node, then subten, in worker threads', [newest, subten], true],
])('%s: both infer, and the process ends cleanly', async (_, order, inWorkers) => {
  const ended = await run(order, { inWorkers })
  expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' })
  expect(ended.answers).toHaveLength(2)
  expect(difference(ended.answers)).toBeLessThan(1e-5)
})
