// Two other versions of onnxruntime-node in the process of subten.
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { root } from '../e2e/consumer.js'
import { difference, newest, run, subten } from './onnxruntime-node.js'
import { packages, renamed } from './packages.js'

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

let old: string
let oldRenamed: string
beforeAll(() => {
  const installed = packages()
  old = join(installed, 'onnxruntime-node-1.24.3')
  oldRenamed = renamed(old, join(installed, `onnxruntime-node-renamed-${process.pid}`))
})
afterAll(() => rmSync(oldRenamed, { recursive: true, force: true }))

const versionIn = (folder: string): string => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version

const orders = (a: string, b: string, c: string): string[][] => [
  [a, b, c],
  [a, c, b],
  [b, a, c],
  [b, c, a],
  [c, a, b],
  [c, b, a],
]

const cleanly = { code: 0, signal: null, stderr: '' }

it('the versions are 1.24.3 and the one of the devDependencies', () => {
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  expect([versionIn(old), versionIn(newest)]).toEqual(['1.24.3', devDependencies['onnxruntime-node']])
})

describe.each([
  ['on the main thread', false],
  ['in worker threads', true],
])('%s', (_, inWorkers) => {
  it('subten and 1.24.3 both infer, in either order', async () => {
    for (const order of [
      [subten, old],
      [old, subten],
    ]) {
      const ended = await run(order, { inWorkers })
      expect(ended).toMatchObject(cleanly)
      expect(difference(ended.answers)).toBeLessThan(1e-5)
    }
  })

  // The limit of onnxruntime-node alone, which subten neither causes nor lifts.
  it('1.24.3 and the newest, as published, do not load together, without subten', async () => {
    for (const [first, second] of [
      [old, newest],
      [newest, old],
    ] as const) {
      const ended = await run([first, second], { inWorkers })
      expect(ended).toMatchObject(cleanly)
      expect(ended.answers[0]).toHaveLength(10)
      expect(ended.answers[1]).toEqual({ error: expect.stringContaining(`VERS_${versionIn(second)}' not found`) })
    }
  })

  it('beside subten it is the same two that do not load together, wherever subten comes in', async () => {
    for (const order of orders(subten, old, newest)) {
      const ended = await run(order, { inWorkers })
      expect(ended).toMatchObject(cleanly)
      const second = order.filter((each) => each !== subten)[1] as string
      const at = order.indexOf(second)
      expect(ended.answers[at]).toEqual({ error: expect.stringContaining(`VERS_${versionIn(second)}' not found`) })
      expect(difference(ended.answers.filter((_, i) => i !== at))).toBeLessThan(1e-5)
    }
  })

  it('with names of its own for 1.24.3 all three infer, in every order', async () => {
    for (const order of orders(subten, oldRenamed, newest)) {
      const ended = await run(order, { inWorkers })
      expect(ended).toMatchObject(cleanly)
      expect(ended.answers).toHaveLength(3)
      expect(difference(ended.answers)).toBeLessThan(1e-5)
    }
  })
})
